/* What a pipe does to frames, in dummynet's order: loss, the queue before the rate, the delay line. */
#include <stdlib.h>
#include <string.h>

#include "relay.h"

static void pipe_free(Pipe *pipe) {
    queue_free(&pipe->queue);
    free(pipe);
}

const char *pipe_set(Relay *relay, const char *source, const char *target, const PipeSettings *settings) {
    Device *from = NULL, *to = NULL;
    const char *wrong = device_get(relay, source, &from);
    if (wrong != NULL) return wrong;
    /* Looking for TARGET may end SOURCE, where that was a pipe to a device that is gone. */
    wrong = device_get(relay, target, &to);
    from = device_find(relay, source);
    if (wrong == NULL && from == NULL) wrong = device_get(relay, source, &from);
    if (wrong == NULL) wrong = device_listen(relay, from);
    Pipe *pipe = from ? from->pipe : NULL;
    if (wrong == NULL && pipe == NULL && (pipe = calloc(1, sizeof *pipe)) == NULL) wrong = "no memory";
    if (wrong != NULL) {
        if (from != NULL) device_put(relay, from);
        if (to != NULL && to != from) device_put(relay, to);
        return wrong;
    }
    const uint64_t now = now_ns();
    to->senders++;
    if (from->pipe == NULL) {
        from->pipe = pipe;
        pipe->source = from;
        pipe->target = to;
        relay->pipes++;
        /* What came before the pipe is none of its own. */
        pipe->last_arrival_ns = now;
        device_drops(from);
    } else {
        Device *before = pipe->target;
        pipe->target = to;
        if (--before->senders == 0) device_put(relay, before);
        if (!pipe->retimed && pipe->set.queue.rate_bytes_per_s != settings->queue.rate_bytes_per_s) {
            pipe->old_rate = pipe->set.queue.rate_bytes_per_s;
            pipe->retimed = relay->retime = true;
        }
    }
    pipe->set = *settings;
    if (!pipe->retimed) queue_set(&pipe->queue, &settings->queue, now);
    return NULL;
}

void pipe_retime(Relay *relay) {
    if (!relay->retime) return;
    relay->retime = false;
    const uint64_t now = now_ns();
    for (size_t i = 0; i < relay->heap.count; i++) {
        Packet *packet = relay->heap.at[i];
        const Pipe *pipe = packet->pipe;
        if (!pipe->retimed) continue;
        const uint64_t moved = queue_moved(packet->depart_ns, now, pipe->old_rate, pipe->set.queue.rate_bytes_per_s);
        packet->due_ns += moved - packet->depart_ns;
        packet->depart_ns = moved;
    }
    heap_order(&relay->heap);
    for (size_t i = 0; i < BUCKETS; i++) {
        for (Device *device = relay->bucket[i]; device != NULL; device = device->bucket_next) {
            if (device->pipe == NULL || !device->pipe->retimed) continue;
            device->pipe->retimed = false;
            queue_set(&device->pipe->queue, &device->pipe->set.queue, now);
        }
    }
}

void pipe_remove(Relay *relay, Pipe *pipe) {
    Device *source = pipe->source, *target = pipe->target;
    source->pipe = NULL;
    target->senders--;
    pipe->dropped = true;
    pipe->retimed = false;
    relay->pipes--;
    device_put(relay, source);
    if (target != source) device_put(relay, target);
    if (pipe->packets_in_flight == 0) pipe_free(pipe);
}

void pipe_calm(Pipe *pipe) {
    device_drops(pipe->source); /* the kernel's count begins anew when it is read */
    memset(&pipe->count, 0, sizeof pipe->count);
}

void pipe_drop(Relay *relay, const char *source) {
    const Device *device = device_find(relay, source);
    if (device != NULL && device->pipe != NULL) pipe_remove(relay, device->pipe);
}

void packet_done(Packet *packet) {
    Pipe *pipe = packet->pipe;
    pipe->bytes_in_flight -= packet_memory(packet->bytes);
    if (--pipe->packets_in_flight == 0 && pipe->dropped) pipe_free(pipe);
    free(packet);
}

static bool has_room(Pipe *pipe, uint32_t bytes) {
    return pipe->bytes_in_flight + packet_memory(bytes) <= MAX_BYTES_IN_FLIGHT;
}

static Packet *packet_new(Pipe *pipe, uint32_t bytes) {
    Packet *packet = malloc(packet_memory(bytes));
    if (packet == NULL) return NULL;
    packet->pipe = pipe;
    packet->bytes = bytes;
    packet->frames = 1;
    pipe->bytes_in_flight += packet_memory(bytes);
    pipe->packets_in_flight++;
    return packet;
}

/* Into the delay line: `depart` is when the frame has left the queue. */
static void delay(Relay *relay, Packet *packet, uint64_t depart) {
    const PipeSettings *set = &packet->pipe->set;
    uint64_t delay_ns = set->delay_us * 1000ull;
    const uint64_t jitter_ns = set->jitter_us * 1000ull;
    if (random_hit(&relay->random, set->reorder_u32)) {
        delay_ns = 0; /* as netem: this one overtakes all that wait */
    } else if (jitter_ns > 0) {
        const uint64_t draw = ((uint64_t)random_u32(&relay->random) << 32 | random_u32(&relay->random)) % (2 * jitter_ns + 1);
        delay_ns = delay_ns + draw > jitter_ns ? delay_ns + draw - jitter_ns : 0;
    }
    packet->depart_ns = depart;
    packet->due_ns = depart + delay_ns;
    packet->turn = relay->turn++;
    if (heap_push(&relay->heap, packet)) return;
    packet->pipe->count.crowded_out++;
    packet_done(packet);
}

static void into_delay_line(Relay *relay, Packet *packet, uint64_t depart) {
    Pipe *pipe = packet->pipe;
    Packet *twin = NULL;
    if (random_hit(&relay->random, pipe->set.duplicate_u32)) {
        twin = has_room(pipe, packet->bytes) ? packet_new(pipe, packet->bytes) : NULL;
        if (twin != NULL) {
            memcpy(twin->data, packet->data, OFFLOAD_BYTES + packet->bytes);
            twin->frames = packet->frames;
        } else {
            pipe->count.crowded_out++;
        }
    }
    if (random_hit(&relay->random, pipe->set.corrupt_u32)) {
        Offload offload;
        memcpy(&offload, packet->data, sizeof offload);
        frame_corrupt(&offload, packet_frame(packet), packet->bytes, &relay->random);
        memcpy(packet->data, &offload, sizeof offload);
    }
    delay(relay, packet, depart);
    if (twin != NULL) delay(relay, twin, depart);
}

/* Whether all that happens to a frame is that it waits: then a large one need not be cut. */
static bool only_delays(const PipeSettings *set) {
    return set->queue.rate_bytes_per_s == 0 && !(set->jitter_us | set->loss_u32 | set->reorder_u32 | set->duplicate_u32 | set->corrupt_u32);
}

/* A frame, or one piece of it: false if it ends here. */
static bool passes(Relay *relay, Pipe *pipe, uint64_t arrival, uint32_t bytes, uint64_t *depart) {
    if (random_hit(&relay->random, pipe->set.loss_u32)) {
        pipe->count.lost++;
        return false;
    }
    if (!has_room(pipe, bytes)) {
        pipe->count.crowded_out++;
        return false;
    }
    if (queue_offer(&pipe->queue, arrival, bytes, &relay->random, depart)) return true;
    pipe->count.overflowed++;
    return false;
}

void pipe_accept(Relay *relay, Pipe *pipe, uint64_t arrival, const Offload *offload, const uint8_t *frame, uint32_t bytes) {
    /* Stamps of two batches may be some nanoseconds out of order. */
    if (arrival < pipe->last_arrival_ns) arrival = pipe->last_arrival_ns;
    pipe->last_arrival_ns = arrival;
    const Cut cut = frame_cut(offload, frame, bytes);
    pipe->count.received += cut.count;
    const bool whole = cut.count == 1 || only_delays(&pipe->set);
    for (uint32_t i = 0; i < (whole ? 1 : cut.count); i++) {
        const uint32_t piece_bytes = whole ? bytes : frame_piece_bytes(&cut, i);
        uint64_t depart = 0;
        if (!passes(relay, pipe, arrival, piece_bytes, &depart)) continue;
        Packet *packet = packet_new(pipe, piece_bytes);
        if (packet == NULL) {
            pipe->count.crowded_out++;
            continue;
        }
        Offload piece_offload = *offload;
        if (whole) memcpy(packet_frame(packet), frame, bytes);
        else frame_piece(&cut, i, offload, frame, packet_frame(packet), &piece_offload);
        memcpy(packet->data, &piece_offload, sizeof piece_offload);
        packet->frames = whole ? cut.count : 1;
        into_delay_line(relay, packet, depart);
    }
}

void pipe_deliver(Relay *relay) {
    const uint64_t now = now_ns();
    while (relay->heap.count > 0 && relay->heap.at[0]->due_ns <= now) {
        Packet *packet = heap_pop(&relay->heap);
        Pipe *pipe = packet->pipe;
        if (pipe->dropped) {
            packet_done(packet);
            continue;
        }
        const uint64_t late_ns = now - packet->due_ns;
        if (late_ns > LATE_NS) pipe->count.late++;
        if (late_ns / 1000 > pipe->count.latest_us) pipe->count.latest_us = late_ns / 1000;
        device_queue_out(relay, packet);
        relay->sent++;
    }
    device_send_all(relay);
}
