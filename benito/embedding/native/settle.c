/* The end of a search: a placement from which no single move or swap is better, and evenly filled parts. */
#include "embed.h"

#include <stdlib.h>

enum { SLOTS_LOOKED_AT = 256 }; /* of a net: more says nothing, and large LANs would cost too much */

/* The parts that a vertex has ties to, other than its own; `known` is all 0 before and after. */
static int32_t near_parts(const State *state, int32_t vertex, int32_t *parts, uint8_t *known) {
    const Level *level = state->level;
    const int32_t from = state->part[vertex];
    int32_t count = 0;
    for (int32_t i = level->pair_start[vertex]; i < level->pair_start[vertex + 1]; i++) {
        const int32_t to = state->part[level->pair_to[i]];
        if (to != from && !known[to]) known[to] = 1, parts[count++] = to;
    }
    for (int32_t i = level->in_start[vertex]; i < level->in_start[vertex + 1]; i++) {
        const int32_t net = level->in_net[i], base = state->slot_start[net];
        for (int32_t s = 0; s <= state->slot_mask[net] && s < SLOTS_LOOKED_AT; s++) {
            const int32_t to = state->slot_part[base + s];
            if (to >= 0 && to != from && !known[to]) known[to] = 1, parts[count++] = to;
        }
    }
    for (int32_t i = 0; i < count; i++) known[parts[i]] = 0;
    return count;
}

/* The best move or swap of one vertex toward the parts it has ties to; whether it did something. */
static int better(State *state, int32_t vertex, int32_t *parts, uint8_t *known) {
    const Level *level = state->level;
    const int32_t from = state->part[vertex];
    int32_t best_to = -1, best_other = -1;
    double best = 0, best_cut = 0, best_excess = 0;
    if (level->fixed[vertex] >= 0) return 0;
    const int32_t count = near_parts(state, vertex, parts, known);
    for (int32_t i = 0; i < count; i++) {
        const int32_t to = parts[i];
        if (!allowed(state, vertex, to)) continue;
        const double cut = cut_of_move(state, vertex, to), excess = excess_of_move(state, vertex, to);
        if (cut + excess < best) best = cut + excess, best_to = to, best_other = -1, best_cut = cut, best_excess = excess;
        if (cut >= 0) continue; /* a swap can only be better where the move itself is, or its other half */
        for (int32_t m = 0; m < state->size[to]; m++) {
            const int32_t other = state->members[to][m];
            if (level->fixed[other] >= 0 || !allowed(state, other, from)) continue;
            const double both = cut_of_swap(state, vertex, other);
            if (both >= best) continue;
            const double more = excess_of_swap(state, vertex, other);
            if (both + more < best) best = both + more, best_to = to, best_other = other, best_cut = both, best_excess = more;
        }
    }
    if (best_to < 0) return 0;
    state_move(state, vertex, best_to);
    if (best_other >= 0) state_move(state, best_other, from);
    state->cut += best_cut;
    state->excess += best_excess;
    return 1;
}

void settle(State *state, Random *random) {
    const int32_t n = state->level->n;
    int32_t *parts = must_alloc(state->site->parts, sizeof *parts);
    uint8_t *known = must_alloc(state->site->parts, sizeof *known);
    for (int pass = 0, changed = 1; pass < 20 && changed; pass++) {
        changed = 0;
        const int32_t first = random_below(random, n);
        for (int32_t i = 0; i < n; i++) changed |= better(state, (first + i) % n, parts, known);
    }
    free(parts), free(known);
}

/* How full a part is: the square of each resource's share, so that even shares are less together. */
static double fullness(const State *state, int32_t part, int32_t vertex, double sign) {
    const Level *level = state->level;
    const int32_t resources = state->site->resources;
    double sum = 0;
    for (int32_t i = level->need_start[vertex]; i < level->need_start[vertex + 1]; i++) {
        const int64_t at = (int64_t)part * resources + level->need_what[i];
        const double most = state->site->capacity[at], load = state->load[at] + sign * level->need_amount[i];
        if (most > 0) sum += load * load / (most * most);
    }
    return sum;
}

/* Moves that cost nothing and leave the parts more evenly filled. */
void even_out(State *state) {
    const Level *level = state->level;
    int32_t *parts = must_alloc(state->site->parts, sizeof *parts);
    uint8_t *known = must_alloc(state->site->parts, sizeof *known);
    for (int pass = 0, changed = 1; pass < 5 && changed; pass++) {
        changed = 0;
        for (int32_t v = 0; v < level->n; v++) {
            const int32_t from = state->part[v];
            if (level->fixed[v] >= 0 || state->size[from] < 2) continue;
            const int32_t count = near_parts(state, v, parts, known);
            for (int32_t i = 0; i < count; i++) {
                const int32_t to = parts[i];
                if (!allowed(state, v, to) || cut_of_move(state, v, to) != 0 || excess_of_move(state, v, to) > 0) continue;
                const double before = fullness(state, from, v, 0) + fullness(state, to, v, 0);
                if (fullness(state, from, v, -1) + fullness(state, to, v, 1) >= before - 1e-9) continue;
                state->excess += excess_of_move(state, v, to);
                state_move(state, v, to);
                changed = 1;
                break;
            }
        }
    }
    free(parts), free(known);
}
