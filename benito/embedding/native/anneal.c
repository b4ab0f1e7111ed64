/* Annealed moves and swaps: most go where a neighbour is; worse ones are taken while it is hot. */
#include "embed.h"

#include <math.h>
#include <stddef.h>

enum { LOG_STEPS = 4096, STEPS = 40 };
static double logs[LOG_STEPS];

__attribute__((constructor)) static void make_logs(void) {
    for (int i = 0; i < LOG_STEPS; i++) logs[i] = -log((i + 0.5) / LOG_STEPS);
}

/* A part that the vertex has a tie to, now and then any. */
static int32_t some_part(const State *state, int32_t vertex, Random *random) {
    const Level *level = state->level;
    const int32_t pairs = level->pair_start[vertex + 1] - level->pair_start[vertex];
    const int32_t nets = level->in_start[vertex + 1] - level->in_start[vertex];
    if (pairs + nets == 0 || random_next(random) >> 58 == 0) return random_below(random, state->site->parts);
    const int32_t tie = random_below(random, pairs + nets);
    if (tie < pairs) return state->part[level->pair_to[level->pair_start[vertex] + tie]];
    const int32_t net = level->in_net[level->in_start[vertex] + tie - pairs], first = level->net_start[net];
    return state->part[level->net_pin[first + random_below(random, level->net_start[net + 1] - first)]];
}

typedef struct { State *state; Random *random; double heat; int32_t hard; } Annealing;

static void try_swap(Annealing *a, int32_t vertex, int32_t to, double limit) {
    State *state = a->state;
    const int32_t from = state->part[vertex];
    if (state->size[to] == 0) return;
    const int32_t other = state->members[to][random_below(a->random, state->size[to])];
    if (state->level->fixed[other] >= 0 || !allowed(state, other, from)) return;
    const double cut = cut_of_swap(state, vertex, other);
    if (cut > limit) return;
    const double excess = excess_of_swap(state, vertex, other);
    if (cut + excess > limit || (a->hard && excess > 0)) return;
    state_move(state, vertex, to);
    state_move(state, other, from);
    state->cut += cut;
    state->excess += excess;
}

static void propose(Annealing *a) {
    State *state = a->state;
    const int32_t vertex = random_below(a->random, state->level->n), from = state->part[vertex];
    if (state->level->fixed[vertex] >= 0) return;
    const int32_t to = some_part(state, vertex, a->random);
    if (to == from || !allowed(state, vertex, to)) return;
    const uint64_t dice = random_next(a->random);
    const double limit = a->heat * logs[dice >> 52];
    const double excess = excess_of_move(state, vertex, to);
    if (excess > 0 && (a->hard || (dice & 3))) {
        try_swap(a, vertex, to, limit);
        return;
    }
    const double cut = cut_of_move(state, vertex, to);
    if (cut + excess > limit) return;
    state_move(state, vertex, to);
    state->cut += cut;
    state->excess += excess;
}

/* Cools from hot to cold, and keeps what is better than `best` on the way, if that is given. */
void anneal(State *state, const Schedule *schedule, Random *random, const int32_t *stop, Best *best) {
    const int64_t per_step = (int64_t)(schedule->sweeps * state->level->n / STEPS) + 1;
    Annealing a = {.state = state, .random = random, .hard = schedule->hard};
    const int bent = schedule->bend > 0 && state->level->nets > 0;
    for (int32_t step = 0; step < STEPS && !*stop; step++) {
        const double way = step / (STEPS - 1.0);
        if (bent) state->bend = schedule->bend * (1 - way) + schedule->last_bend * way;
        a.heat = schedule->hot * pow(schedule->cold / schedule->hot, way);
        for (int64_t i = 0; i < per_step; i++) propose(&a);
        state->excess = excess_total(state); /* sums of prices are not exact */
        if (best == NULL) continue;
        if (bent) state->cut = cut_total(state);
        best_of(best, state);
    }
    state->bend = 0;
    state->cut = cut_total(state);
}
