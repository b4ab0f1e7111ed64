/* Placing the vertices of a weighted hypergraph on parts: the types that the files of this folder share.
 *
 * A vertex is a node of an experiment (or several that must stay together), a part a pnode, a pair or a net a link or LAN.
 * All amounts are doubles that hold whole numbers: sums of them are exact, so that the same seed gives the same answer.
 */
#ifndef BENITO_EMBED_H
#define BENITO_EMBED_H

#include <stdint.h>

enum { POOL = 5 }; /* how many placements a search keeps */

/* What is asked, as the caller lays it out. Tables of `parts` x `resources` are row-major by part. */
typedef struct {
    int32_t n, nets, parts, resources, conflicts, colors;
    const int32_t *net_start, *net_pin;
    const double *net_weight;
    const int32_t *need_start, *need_what;
    const double *need_amount;
    const int32_t *color, *fixed; /* fixed: the part that a vertex must be in, or -1 */
    double *capacity;             /* [parts * resources] */
    double *uplink;               /* [parts]; infinity where nothing limits it */
    const int32_t *conflict;      /* [conflicts * 2]: two resources of which a part may hold one only */
    uint8_t *allowed;             /* [colors * parts]: whether vertices of that colour may be there */
} Problem;

/* What the parts are: of the problem, or of one half of it. */
typedef struct {
    int32_t parts, resources, conflicts, colors;
    double *capacity, *uplink;
    const int32_t *conflict;
    uint8_t *allowed;
    double *price;               /* [resources]: what one unit too many costs */
    double uplink_price, conflict_price;
    int32_t uplinks_limited;
    double *most;                /* [resources]: the largest capacity of any part */
    double *unit;                /* [resources]: what a vertex that needs it usually needs */
    double heaviest;             /* the largest weight of any net */
} Site;

/* A hypergraph: the whole experiment, or a coarser picture of it. */
typedef struct {
    int32_t n, nets;
    int32_t *pair_start, *pair_to; /* LANs with two members, as adjacency */
    double *pair_weight;
    int32_t *net_start, *net_pin;  /* LANs with more */
    double *net_weight;
    int32_t *in_start, *in_net;    /* vertex -> its nets, ascending */
    int32_t *need_start, *need_what;
    double *need_amount;
    int32_t *shape;                /* vertices of one shape need the same */
    int32_t *color, *fixed;        /* fixed: its part, or -1 */
    int32_t *coarse;               /* vertex -> vertex of the next coarser level */
} Level;

/* A placement of a level's vertices, with everything that moves need to know. */
typedef struct {
    const Level *level;
    Site *site;
    int32_t *part, *place;         /* place: index in members[part] */
    int32_t **members, *size, *room;
    double *load;                  /* [parts * resources] */
    double *traffic;               /* [parts]: what crosses each uplink */
    int32_t *slot_start, *slot_mask, *slot_part, *slot_count; /* net -> part -> pins: open addressing */
    /* With `bend` 0 a net costs its weight for each part that it touches. With more, a part costs the less the fewer pins
     * it has (by their square root), so that each single move toward a part with many becomes worth while. */
    double bend, *root;
    double cut, excess;            /* excess: what all that is too much costs */
} State;

typedef struct { uint64_t a, b; } Random;

/* state.c */
State *state_new(const Level *level, Site *site);
void state_free(State *state);
void state_enter(State *state, int32_t vertex, int32_t part);
void state_sum(State *state);
void state_fill(State *state, const int32_t *part);
void state_move(State *state, int32_t vertex, int32_t to);
double cut_of_move(const State *state, int32_t vertex, int32_t to);
double cut_of_swap(const State *state, int32_t one, int32_t other);
double excess_of_move(State *state, int32_t vertex, int32_t to);
double excess_of_coming(State *state, int32_t vertex, int32_t part);
double excess_of_swap(State *state, int32_t one, int32_t other);
double excess_of_parts(const State *state, int32_t one, int32_t other);
double excess_total(const State *state);
int32_t parts_of(const State *state, int32_t net);
int32_t pins_in(const State *state, int32_t net, int32_t part);

/* level.c, coarsen.c */
Level *level_new(int32_t n, int32_t nets, const int32_t *net_start, const int32_t *net_pin, const double *net_weight,
                 const int32_t *need_start, const int32_t *need_what, const double *need_amount, const int32_t *color,
                 const int32_t *fixed);
Level *level_mapped(const Level *level, const Site *site, const int32_t *map, int32_t clusters);
void level_free(Level *level);

/* grow.c */
void grow(State *state, double shy, Random *random);

/* A placement that was kept: the best that fits, or while there is none, the one with the least excess. */
typedef struct {
    int32_t *part;
    double cut, excess;
} Best;

typedef struct {
    Best best[POOL];
    int32_t count;
} Pool;

/* score.c */
double level_weight(const Level *level);
double cut_weight(const State *state);
double cut_total(const State *state);
void best_of(Best *best, const State *state);
int better_than(const Best *one, const Best *other);

/* anneal.c */
typedef struct {
    double hot, cold;       /* temperatures, in units of weight */
    double sweeps;          /* proposals per vertex */
    double bend, last_bend; /* see State */
    int32_t hard;           /* whether nothing may become too much */
} Schedule;
void anneal(State *state, const Schedule *schedule, Random *random, const int32_t *stop, Best *best);

/* settle.c, repair.c */
void repair(State *state, Random *random);
void settle(State *state, Random *random);
void even_out(State *state);

/* descend.c */
typedef struct {
    double sweeps;
    double hot, cold; /* temperatures: of a typical weight, of the least weight */
    double share;     /* how much of a part a cluster may take; 0: no coarser pictures */
    int32_t crowd;    /* coarser pictures are made while there are more vertices for a part */
    double price;     /* of too much, of a typical weight */
    double finer;     /* the heat of the levels after the first, of the first's */
    double bend;
    double all;       /* how much all weights count for what is typical, instead of those that are cut */
    double bulky;     /* how much heat grows with what a coarse vertex is tied by: 0 not, 1 in proportion */
    int32_t orderly;  /* growth goes by the vertices' own order where ties are equal */
    double shy;       /* of growth: how much open ties count against a vertex */
    double keen;      /* ties below this share of either end's strongest one make no clusters */
    double flat;      /* how much weights count when clusters are made: 1 all, 0 nothing */
} Trial;

Level *level_coarser(Level *level, const Site *site, const Trial *trial, const int32_t *within, Random *random);

typedef struct {
    Site *site;
    Level *base;
    Random random;
    double least; /* the least weight of any net */
    const int32_t *stop;
} Search;

typedef struct {
    const int32_t *part, *group; /* clusters stay inside groups */
} Start;

void descend(Search *search, const Start *start, const Trial *trial, Best *best);

/* split.c */
void split(Search *search, int32_t *out);

/* random.c */
Random random_of(uint64_t seed);

static inline uint64_t random_next(Random *random) {
    /* xoroshiro128+ of Blackman and Vigna, public domain */
    const uint64_t a = random->a, sum = a + random->b, b = random->b ^ a;
    random->a = ((a << 24) | (a >> 40)) ^ b ^ (b << 16);
    random->b = (b << 37) | (b >> 27);
    return sum;
}

static inline int32_t random_below(Random *random, int32_t bound) {
    return (int32_t)(((random_next(random) >> 32) * (uint64_t)bound) >> 32);
}

static inline double above(double value, double limit) { return value > limit ? value - limit : 0; }

static inline int allowed(const State *state, int32_t vertex, int32_t part) {
    return state->site->allowed[(int64_t)state->level->color[vertex] * state->site->parts + part];
}

void *must_alloc(int64_t count, int64_t size);

#endif
