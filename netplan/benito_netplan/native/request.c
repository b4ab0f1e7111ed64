/* Requests are lines of words; each is carried out when its turn comes, and those that fail are told by their number. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay.h"

enum { MOST_WORDS = 20, PIPE_WORDS = 17 };

__attribute__((format(printf, 2, 3))) static void say(Request *request, const char *format, ...) {
    for (;;) {
        va_list arguments;
        va_start(arguments, format);
        const size_t left = request->room - request->bytes;
        const int wanted = vsnprintf(request->reply ? request->reply + request->bytes : NULL, left, format, arguments);
        va_end(arguments);
        if (wanted < 0) return;
        if ((size_t)wanted < left) {
            request->bytes += (size_t)wanted;
            return;
        }
        const size_t room = (request->room + (size_t)wanted + 256) * 2;
        char *reply = realloc(request->reply, room);
        if (reply == NULL) {
            request->no_memory = true;
            return;
        }
        request->reply = reply;
        request->room = room;
    }
}

static bool number(const char *word, uint64_t least, uint64_t most, uint64_t *value) {
    uint64_t sum = 0;
    if (*word == '\0') return false;
    for (; *word; word++) {
        if (*word < '0' || *word > '9') return false;
        const uint64_t digit = (uint64_t)(*word - '0');
        if (sum > (UINT64_MAX - digit) / 10) return false;
        sum = sum * 10 + digit;
    }
    *value = sum;
    return sum >= least && sum <= most;
}

static bool number32(const char *word, uint32_t least, uint32_t most, uint32_t *value) {
    uint64_t wide = 0;
    if (!number(word, least, most, &wide)) return false;
    *value = (uint32_t)wide;
    return true;
}

static const char *const disciplines[] = {[DROPTAIL] = "droptail", [RED] = "red", [GRED] = "gred"};

/* The words after `pipe SOURCE TARGET`. */
static const char *read_settings(char **word, PipeSettings *set) {
    enum { MOST_US = 4000000000u, MOST_LIMIT = 4000000000u };
    QueueSettings *queue = &set->queue;
    if (!number(word[0], 0, 1ull << 40, &queue->rate_bytes_per_s)) return "the rate is no number of bytes per second";
    if (!number32(word[1], 0, MOST_US, &set->delay_us)) return "the delay is no number of microseconds";
    if (!number32(word[2], 0, MOST_US, &set->jitter_us)) return "the jitter is no number of microseconds";
    if (!number32(word[3], 0, UINT32_MAX, &set->loss_u32) || !number32(word[4], 0, UINT32_MAX, &set->reorder_u32) ||
        !number32(word[5], 0, UINT32_MAX, &set->duplicate_u32) || !number32(word[6], 0, UINT32_MAX, &set->corrupt_u32))
        return "a share is no number below 2^32";
    if (!number32(word[7], 1, MOST_LIMIT, &queue->limit)) return "the limit is no number from 1 on";
    if (strcmp(word[8], "p") != 0 && strcmp(word[8], "b") != 0) return "the limit is neither in packets (p) nor in bytes (b)";
    queue->in_bytes = word[8][0] == 'b';
    int kind = DROPTAIL;
    while (kind <= GRED && strcmp(word[9], disciplines[kind]) != 0) kind++;
    if (kind > GRED) return "the queue is none of droptail, red and gred";
    queue->discipline = (Discipline)kind;
    if (!number32(word[10], 0, MOST_LIMIT, &queue->min) || !number32(word[11], 0, MOST_LIMIT, &queue->max) ||
        !number32(word[12], 0, 1000000, &queue->weight_ppm) || !number32(word[13], 0, UINT32_MAX, &queue->linterm))
        return "thresholds, weight or linterm are no numbers in their bounds";
    if (queue->discipline != DROPTAIL && (queue->min >= queue->max || queue->weight_ppm == 0 || queue->linterm == 0))
        return "red needs min below max, a weight and a linterm from 1 on";
    return NULL;
}

static void show_pipe(Request *reply, Pipe *pipe) {
    const PipeSettings *set = &pipe->set;
    const QueueSettings *queue = &set->queue;
    Counters *count = &pipe->count;
    count->socket_drops += device_drops(pipe->source);
    say(reply, "pipe %s %s %" PRIu64 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32, pipe->source->name, pipe->target->name,
        queue->rate_bytes_per_s, set->delay_us, set->jitter_us, set->loss_u32, set->reorder_u32, set->duplicate_u32, set->corrupt_u32);
    say(reply, " %" PRIu32 " %c %s %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu32, queue->limit, queue->in_bytes ? 'b' : 'p',
        disciplines[queue->discipline], queue->min, queue->max, queue->weight_ppm, queue->linterm);
    say(reply, " %d %d %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, pipe->source->ifindex, pipe->target->ifindex,
        count->received, count->sent, count->lost, count->overflowed, count->crowded_out);
    say(reply, " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", count->unsent, count->socket_drops, count->late,
        count->latest_us, pipe->bytes_in_flight);
}

/* One bucket of devices of a `show`. */
static void show_some(Relay *relay, Request *request) {
    for (Device *device = relay->bucket[request->bucket]; device != NULL; device = device->bucket_next) {
        if (device->pipe == NULL) continue;
        const bool lost = device_is_gone(device), nowhere = device_is_gone(device->pipe->target);
        if (!lost && !nowhere) show_pipe(request, device->pipe);
    }
    if (++request->bucket < BUCKETS) return;
    request->showing = false;
    device_sweep(relay);
}

/* One bucket of devices of a `calm`. */
static void calm_some(Relay *relay, Request *request) {
    for (Device *device = relay->bucket[request->bucket]; device != NULL; device = device->bucket_next)
        if (device->pipe != NULL) pipe_calm(device->pipe);
    if (++request->bucket == BUCKETS) request->calming = false;
}

static const char *serve_line(Relay *relay, char **word, size_t words, Request *request) {
    if (strcmp(word[0], "pipe") == 0) {
        PipeSettings settings = {0};
        if (words != PIPE_WORDS) return "a pipe has 16 words";
        const char *wrong = read_settings(word + 3, &settings);
        return wrong ? wrong : pipe_set(relay, word[1], word[2], &settings);
    }
    if (strcmp(word[0], "drop") == 0) {
        if (words != 2) return "drop has one word: SOURCE";
        pipe_drop(relay, word[1]);
        return NULL;
    }
    if (strcmp(word[0], "show") == 0 && words == 1) {
        request->showing = true;
        request->bucket = 0;
        return NULL;
    }
    if (strcmp(word[0], "calm") == 0 && words == 1) {
        request->calming = true;
        request->bucket = 0;
        return NULL;
    }
    if (strcmp(word[0], "quit") == 0 && words == 1) {
        relay->quitting = true;
        return NULL;
    }
    return "the first word is none of pipe, drop, show, calm and quit";
}

bool request_step(Relay *relay, Request *request) {
    if (request->showing) {
        show_some(relay, request);
        return true;
    }
    if (request->calming) {
        calm_some(relay, request);
        return true;
    }
    if (request->line == NULL || relay->quitting) {
        if (!request->failed) say(request, "ok\n");
        return false;
    }
    char *word[MOST_WORDS], *place = NULL, *next = strchr(request->line, '\n');
    size_t words = 0;
    if (next != NULL) *next++ = '\0';
    request->line_number++;
    for (char *each = strtok_r(request->line, " \t\r", &place); each != NULL && words < MOST_WORDS; each = strtok_r(NULL, " \t\r", &place))
        word[words++] = each;
    const char *wrong = words > 0 ? serve_line(relay, word, words, request) : NULL;
    if (wrong != NULL) {
        say(request, "error %zu %s\n", request->line_number, wrong);
        request->failed = true;
    }
    request->line = next;
    return true;
}
