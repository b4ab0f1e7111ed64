/* A heap with four children to a node: pushes of ever later times, the usual case, end at once. */
#include <stdlib.h>

#include "relay.h"

static bool earlier(const Packet *a, const Packet *b) {
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->turn < b->turn;
}

bool heap_push(Heap *heap, Packet *packet) {
    if (heap->count == heap->room) {
        const size_t room = heap->room ? heap->room * 2 : 256;
        Packet **at = realloc(heap->at, room * sizeof *at);
        if (at == NULL) return false;
        heap->at = at;
        heap->room = room;
    }
    size_t hole = heap->count++;
    while (hole > 0 && earlier(packet, heap->at[(hole - 1) / 4])) {
        heap->at[hole] = heap->at[(hole - 1) / 4];
        hole = (hole - 1) / 4;
    }
    heap->at[hole] = packet;
    return true;
}

static void sink(Heap *heap, size_t hole) {
    Packet *packet = heap->at[hole];
    for (size_t first; (first = hole * 4 + 1) < heap->count;) {
        size_t best = first;
        for (size_t child = first + 1; child < first + 4 && child < heap->count; child++)
            if (earlier(heap->at[child], heap->at[best])) best = child;
        if (!earlier(heap->at[best], packet)) break;
        heap->at[hole] = heap->at[best];
        hole = best;
    }
    heap->at[hole] = packet;
}

Packet *heap_pop(Heap *heap) {
    Packet *packet = heap->at[0];
    heap->at[0] = heap->at[--heap->count];
    if (heap->count > 0) sink(heap, 0);
    if (heap->room > 4096 && heap->count < heap->room / 4) {
        Packet **at = realloc(heap->at, heap->room / 2 * sizeof *at);
        if (at != NULL) {
            heap->at = at;
            heap->room /= 2;
        }
    }
    return packet;
}

void heap_order(Heap *heap) {
    for (size_t i = heap->count / 4 + 1; i-- > 0;)
        if (i < heap->count) sink(heap, i);
}
