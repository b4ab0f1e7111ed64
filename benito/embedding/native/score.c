/* How good a placement is, and which of two is better. */
#include "embed.h"

#include <math.h>
#include <string.h>

double cut_total(const State *state) {
    const Level *level = state->level;
    double cut = 0;
    for (int32_t v = 0; v < level->n; v++)
        for (int32_t i = level->pair_start[v]; i < level->pair_start[v + 1]; i++)
            if (level->pair_to[i] > v && state->part[level->pair_to[i]] != state->part[v]) cut += level->pair_weight[i];
    for (int32_t net = 0; net < level->nets; net++) cut += level->net_weight[net] * (parts_of(state, net) - 1);
    return cut;
}

/* A typical weight of all: that of a tie that a unit of weight belongs to. */
double level_weight(const Level *level) {
    double sum = 0, squares = 0;
    for (int32_t i = 0; i < level->pair_start[level->n]; i++)
        sum += level->pair_weight[i] / 2, squares += level->pair_weight[i] * level->pair_weight[i] / 2;
    for (int32_t i = 0; i < level->nets; i++) sum += level->net_weight[i], squares += level->net_weight[i] * level->net_weight[i];
    return sum > 0 ? squares / sum : 0;
}

/* A typical weight of what is cut now; 0 where nothing is. */
double cut_weight(const State *state) {
    const Level *level = state->level;
    double sum = 0, count = 0;
    for (int32_t v = 0; v < level->n; v++)
        for (int32_t i = level->pair_start[v]; i < level->pair_start[v + 1]; i++)
            if (state->part[level->pair_to[i]] != state->part[v]) sum += level->pair_weight[i], count += 1;
    for (int32_t net = 0; net < level->nets; net++)
        if (parts_of(state, net) > 1) sum += 2 * level->net_weight[net], count += 2;
    return count > 0 ? sum / count : 0;
}

/* How much is too much altogether, whatever the prices: in vertices that usually need as much. */
static double shortage(const State *state) {
    const Site *site = state->site;
    double sum = 0;
    for (int32_t p = 0; p < site->parts; p++) {
        const double *load = state->load + (int64_t)p * site->resources;
        const double *capacity = site->capacity + (int64_t)p * site->resources;
        for (int32_t r = 0; r < site->resources; r++) sum += above(load[r], capacity[r]) / site->unit[r];
        for (int32_t i = 0; i < site->conflicts; i++) sum += fmin(load[site->conflict[2 * i]], load[site->conflict[2 * i + 1]]);
        if (site->uplinks_limited) sum += above(state->traffic[p], site->uplink[p]) / site->heaviest;
    }
    return sum;
}

int better_than(const Best *one, const Best *other) {
    return one->excess != other->excess ? one->excess < other->excess : one->cut < other->cut;
}

void best_of(Best *best, const State *state) {
    const Best now = {.cut = state->cut, .excess = shortage(state)};
    if (!better_than(&now, best)) return;
    best->cut = now.cut;
    best->excess = now.excess;
    memcpy(best->part, state->part, (size_t)state->level->n * sizeof *best->part);
}
