/* The order and the arithmetic are dummynet's, which Emulab's links are made of. */
#include "queue.h"

#include <math.h>
#include <stdlib.h>

#define NS_PER_S 1000000000ull

enum {
    TYPICAL_BYTES = 512, /* dummynet's packet, in units of which an idle queue's average decays */
    LARGE_BYTES = 1500,  /* in bytes, a frame of this size meets RED's full probability */
};

uint32_t random_u32(Random *random) {
    random->state ^= random->state >> 12;
    random->state ^= random->state << 25;
    random->state ^= random->state >> 27;
    return (uint32_t)((random->state * 2685821657736338717ull) >> 32);
}

double random_unit(Random *random) { return random_u32(random) / 4294967296.0; }

bool random_hit(Random *random, uint32_t share) {
    return share != 0 && (share == UINT32_MAX || random_u32(random) < share);
}

void queue_free(Queue *queue) {
    free(queue->ring);
    queue->ring = NULL;
    queue->count = queue->room = 0;
}

uint64_t queue_moved(uint64_t depart_ns, uint64_t now_ns, uint64_t old_rate, uint64_t new_rate) {
    if (depart_ns <= now_ns || old_rate == new_rate) return depart_ns;
    if (new_rate == 0) return now_ns;
    const unsigned __int128 rest = (unsigned __int128)(depart_ns - now_ns) * old_rate / new_rate;
    const uint64_t most = UINT64_MAX / 4; /* centuries: sums of times stay far from the end of the type */
    return now_ns + (rest < most ? (uint64_t)rest : most);
}

/* What has left by now is no longer there. */
static void leave(Queue *queue, uint64_t now_ns) {
    while (queue->count > 0 && queue->ring[queue->head].depart_ns <= now_ns) {
        queue->bytes -= queue->ring[queue->head].bytes;
        queue->head = (queue->head + 1) & (queue->room - 1);
        queue->count--;
    }
}

void queue_set(Queue *queue, const QueueSettings *settings, uint64_t now_ns) {
    const uint64_t old = queue->set.rate_bytes_per_s, new = settings->rate_bytes_per_s;
    if (queue->room == 0 || queue->set.in_bytes != settings->in_bytes || queue->set.discipline != settings->discipline) {
        queue->average = 0;
        queue->since_drop = -1;
    }
    leave(queue, now_ns);
    for (uint32_t i = 0; i < queue->count; i++) {
        Waiting *one = &queue->ring[(queue->head + i) & (queue->room - 1)];
        one->depart_ns = queue_moved(one->depart_ns, now_ns, old, new);
    }
    queue->free_ns = queue_moved(queue->free_ns, now_ns, old, new);
    if (old != new) queue->remainder = 0;
    queue->set = *settings;
}

double queue_red_probability(const QueueSettings *settings, double average) {
    const double most = 1.0 / settings->linterm, min = settings->min, max = settings->max;
    if (average < min) return 0;
    if (average < max) return most * (average - min) / (max - min);
    if (settings->discipline != GRED || average >= 2 * max) return 1;
    return most + (1 - most) * (average - max) / max;
}

/* The average is followed at each arrival; while the queue is empty it decays by time. */
static void follow(Queue *queue, uint64_t now_ns) {
    const double weight = queue->set.weight_ppm / 1e6;
    if (queue->count > 0) {
        const double length = queue->set.in_bytes ? (double)queue->bytes : queue->count;
        queue->average += (length - queue->average) * weight;
    } else if (queue->average > 0 && now_ns > queue->free_ns) {
        const double typical_ns = (double)TYPICAL_BYTES * NS_PER_S / (double)queue->set.rate_bytes_per_s;
        queue->average *= pow(1 - weight, (double)(now_ns - queue->free_ns) / typical_ns);
    }
}

/* Drops are spread evenly: between two of them there is a uniform number of frames, up to 1 / probability. */
static bool red_drops(Queue *queue, uint32_t bytes, Random *random) {
    double probability = queue_red_probability(&queue->set, queue->average);
    if (probability <= 0) {
        queue->since_drop = -1;
        return false;
    }
    if (probability >= 1) {
        queue->since_drop = -1;
        return true;
    }
    if (queue->set.in_bytes) probability *= (double)bytes / LARGE_BYTES;
    if (++queue->since_drop == 0) {
        queue->threshold = random_unit(random);
        return false;
    }
    if ((double)queue->since_drop * probability <= queue->threshold) return false;
    queue->since_drop = 0;
    queue->threshold = random_unit(random);
    return true;
}

static bool is_full(const Queue *queue, uint32_t bytes) {
    if (queue->count == 0) return false; /* a frame larger than the limit can be sent, too */
    return queue->set.in_bytes ? queue->bytes + bytes > queue->set.limit : queue->count >= queue->set.limit;
}

static bool has_room(Queue *queue) {
    if (queue->count < queue->room) return true;
    const uint32_t room = queue->room == 0 ? 16 : queue->room * 2;
    Waiting *ring = malloc(room * sizeof *ring);
    if (ring == NULL) return false;
    for (uint32_t i = 0; i < queue->count; i++) ring[i] = queue->ring[(queue->head + i) & (queue->room - 1)];
    free(queue->ring);
    queue->ring = ring;
    queue->room = room;
    queue->head = 0;
    return true;
}

bool queue_offer(Queue *queue, uint64_t now_ns, uint32_t bytes, Random *random, uint64_t *depart_ns) {
    const uint64_t rate = queue->set.rate_bytes_per_s;
    leave(queue, now_ns);
    if (rate == 0) {
        *depart_ns = now_ns;
        return true;
    }
    if (queue->set.discipline != DROPTAIL) follow(queue, now_ns);
    if (is_full(queue, bytes) || (queue->set.discipline != DROPTAIL && red_drops(queue, bytes, random))) return false;
    if (!has_room(queue)) return false;
    if (queue->free_ns < now_ns) {
        queue->free_ns = now_ns;
        queue->remainder = 0;
    }
    const uint64_t work = bytes * NS_PER_S + queue->remainder;
    queue->free_ns += work / rate;
    queue->remainder = work % rate;
    queue->bytes += bytes;
    queue->ring[(queue->head + queue->count++) & (queue->room - 1)] = (Waiting){.depart_ns = queue->free_ns, .bytes = bytes};
    *depart_ns = queue->free_ns;
    return true;
}
