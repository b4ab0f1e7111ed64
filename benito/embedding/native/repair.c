/* Takes what is too much on a part somewhere else. */
#include "embed.h"

#include <stdlib.h>

enum { LOOKED_AT = 48 };

typedef struct { double rank; int32_t vertex, to; } Way;

static int by_rank(const void *one, const void *other) {
    const Way *a = one, *b = other;
    return a->rank != b->rank ? (a->rank > b->rank) - (a->rank < b->rank) : a->vertex - b->vertex;
}

/* The way out of its part that costs a vertex least for what it takes off the excess: to a part that it has ties to, or
 * to one of some with room. Returns 0 where none helps. */
static int way_out(State *state, int32_t v, const int32_t *open, int32_t opens, Random *random, Way *way) {
    const Level *level = state->level;
    const int32_t from = state->part[v], pairs = level->pair_start[v + 1] - level->pair_start[v];
    const int32_t near = pairs < LOOKED_AT ? pairs : LOOKED_AT, far = opens < LOOKED_AT ? opens : LOOKED_AT;
    const int32_t turn = opens > 0 ? random_below(random, opens) : 0;
    way->to = -1;
    if (level->fixed[v] >= 0) return 0;
    for (int32_t i = 0; i < near + far; i++) {
        const int32_t p = i < near ? state->part[level->pair_to[level->pair_start[v] + i]] : open[(turn + i - near) % opens];
        if (p == from || !allowed(state, v, p)) continue;
        const double excess = excess_of_move(state, v, p);
        if (excess >= 0) continue;
        const double rank = cut_of_move(state, v, p) / -excess;
        if (way->to < 0 || rank < way->rank) way->rank = rank, way->vertex = v, way->to = p;
    }
    return way->to >= 0;
}

/* Moves vertices out of a part, the cheapest first, as long as each takes something off the excess. */
static int relieve(State *state, int32_t part, const int32_t *open, int32_t opens, Random *random, Way *ways) {
    int32_t count = 0, moved = 0;
    for (int32_t m = 0; m < state->size[part]; m++) count += way_out(state, state->members[part][m], open, opens, random, &ways[count]);
    qsort(ways, (size_t)count, sizeof *ways, by_rank);
    for (int32_t i = 0; i < count; i++) {
        const double excess = excess_of_move(state, ways[i].vertex, ways[i].to);
        if (excess >= 0) continue;
        state->cut += cut_of_move(state, ways[i].vertex, ways[i].to);
        state->excess += excess;
        state_move(state, ways[i].vertex, ways[i].to);
        moved = 1;
    }
    return moved;
}

/* Takes what is too much somewhere else, cheapest first, as long as it becomes less. */
void repair(State *state, Random *random) {
    const Site *site = state->site;
    int32_t *open = must_alloc(site->parts, sizeof *open);
    Way *ways = must_alloc(state->level->n + 1, sizeof *ways);
    for (int pass = 0, changed = 1; pass < 8 && changed && state->excess > 0; pass++) {
        changed = 0;
        for (int32_t r = 0; r <= site->resources; r++) { /* the last turn is for uplinks and conflicts */
            int32_t opens = 0;
            for (int32_t p = 0; p < site->parts; p++) {
                const int64_t at = (int64_t)p * site->resources + r;
                if (r == site->resources || state->load[at] < site->capacity[at]) open[opens++] = p;
            }
            for (int32_t p = 0; p < site->parts; p++) {
                const int64_t at = (int64_t)p * site->resources + r;
                for (int turn = 0; turn < 20; turn++) {
                    if (!(r == site->resources ? excess_of_parts(state, p, p) > 0 : state->load[at] > site->capacity[at])) break;
                    if (!relieve(state, p, open, opens, random, ways)) break;
                    changed = 1;
                }
            }
        }
    }
    free(open), free(ways);
}
