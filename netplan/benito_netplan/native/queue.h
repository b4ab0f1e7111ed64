/* A queue in front of a rate, in virtual time: when a frame's last byte has left, or that it is dropped. Pure. */
#ifndef BENITO_RELAY_QUEUE_H
#define BENITO_RELAY_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

/* xorshift64*: good enough for coins, and quick. */
typedef struct {
    uint64_t state; /* never 0 */
} Random;

uint32_t random_u32(Random *random);
/* Uniform in [0, 1). */
double random_unit(Random *random);
/* True in `share` of 2^32 cases; 2^32 - 1 counts as always. */
bool random_hit(Random *random, uint32_t share);

typedef enum { DROPTAIL, RED, GRED } Discipline;

/* Thresholds and averages are in packets or in bytes, as the limit is. */
typedef struct {
    uint64_t rate_bytes_per_s; /* 0: unlimited, and then nothing queues */
    uint32_t limit;
    bool in_bytes;
    Discipline discipline;
    uint32_t min, max;
    uint32_t weight_ppm; /* of a new sample in the average */
    uint32_t linterm;    /* the drop probability at `max` is one in so many */
} QueueSettings;

typedef struct {
    uint64_t depart_ns;
    uint32_t bytes;
} Waiting;

typedef struct {
    QueueSettings set;
    Waiting *ring; /* a circle of `room` places (a power of two), `count` of them used from `head` on */
    uint32_t head, count, room;
    uint64_t bytes;          /* of all that wait, the frame being sent included, as in dummynet */
    uint64_t free_ns;        /* when the last of them has left */
    uint64_t remainder;      /* of the division that gave free_ns */
    double average;          /* RED's */
    int64_t since_drop;      /* frames since RED's last drop; -1: below min */
    double threshold;        /* RED's random number for the next drop */
} Queue;

void queue_free(Queue *queue);

/* New settings. What waits is sent at the new rate from `now` on; queue_moved says when each frame leaves then. */
void queue_set(Queue *queue, const QueueSettings *settings, uint64_t now_ns);

/* When a frame that was to leave at `depart_ns` leaves if the rate changes from `old` to `new` at `now_ns`. */
uint64_t queue_moved(uint64_t depart_ns, uint64_t now_ns, uint64_t old_rate, uint64_t new_rate);

/* A frame arrives (times never go back): false if it is dropped, else *depart_ns is when its last byte has left. */
bool queue_offer(Queue *queue, uint64_t now_ns, uint32_t bytes, Random *random, uint64_t *depart_ns);

/* RED's basic drop probability at an average, before the count of frames since the last drop comes in. */
double queue_red_probability(const QueueSettings *settings, double average);

#endif
