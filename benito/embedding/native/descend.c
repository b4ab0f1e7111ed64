/* One descent: place the vertices of a coarse picture, then refine on the way back to the vertices themselves. */
#include "embed.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LEVELS = 40 };
/* The share of a descent's last level that is spent with nothing being too much any more. */
static const double HARD_SHARE = 0.3;

typedef struct {
    Level *level[MOST_LEVELS];
    int32_t *part[MOST_LEVELS], *group[MOST_LEVELS]; /* of the placement to start from, if any */
    int32_t count;
} Tower;

static void raise_tower(Tower *tower, Search *search, const Start *start, const Trial *trial) {
    const int32_t n = search->base->n;
    *tower = (Tower){.level = {search->base}, .count = 1};
    if (start != NULL) {
        tower->part[0] = must_alloc(n, sizeof *tower->part[0]);
        tower->group[0] = must_alloc(n, sizeof *tower->group[0]);
        memcpy(tower->part[0], start->part, (size_t)n * sizeof *tower->part[0]);
        memcpy(tower->group[0], start->group, (size_t)n * sizeof *tower->group[0]);
    }
    while (tower->count < MOST_LEVELS && trial->share > 0) {
        Level *level = tower->level[tower->count - 1];
        const int32_t *group = tower->group[tower->count - 1], *part = tower->part[tower->count - 1];
        if (level->n <= trial->crowd * search->site->parts) return;
        Level *next = level_coarser(level, search->site, trial, group, &search->random);
        if (next == NULL) return;
        if (start != NULL) {
            int32_t *parts = must_alloc(next->n, sizeof *parts), *groups = must_alloc(next->n, sizeof *groups);
            for (int32_t v = 0; v < level->n; v++) parts[level->coarse[v]] = part[v], groups[level->coarse[v]] = group[v];
            tower->part[tower->count] = parts;
            tower->group[tower->count] = groups;
        }
        tower->level[tower->count++] = next;
    }
}

static void raze_tower(Tower *tower) {
    for (int32_t i = 0; i < tower->count; i++) free(tower->part[i]), free(tower->group[i]);
    for (int32_t i = 1; i < tower->count; i++) level_free(tower->level[i]);
}

/* A unit of too much of something costs `factor` times `weight` per vertex that usually needs as much. */
static void set_prices(State *state, double weight, double factor) {
    Site *site = state->site;
    for (int32_t r = 0; r < site->resources; r++) site->price[r] = factor * weight / site->unit[r];
    site->conflict_price = factor * weight;
    site->uplink_price = fmax(1, 4 * factor);
    state->excess = excess_total(state);
}

/* The heaviest ties decide where it is worth while to be hot, what is cut now where it is not. */
static double typical_weight(const State *state, const Search *search, double all) {
    const double cut = fmax(cut_weight(state), search->least);
    if (all == 0) return cut;
    return pow(fmax(level_weight(state->level), search->least), all) * pow(cut, 1 - all);
}

static double ties_per_vertex(const Level *level) {
    double sum = 0;
    for (int32_t i = 0; i < level->pair_start[level->n]; i++) sum += level->pair_weight[i];
    for (int32_t i = 0; i < level->nets; i++) sum += level->net_weight[i] * (level->net_start[i + 1] - level->net_start[i]);
    return level->n > 0 ? sum / level->n : 0;
}

static State *project(const Level *fine, Site *site, State *coarse) {
    State *state = state_new(fine, site);
    for (int32_t v = 0; v < fine->n; v++) state_enter(state, v, coarse->part[fine->coarse[v]]);
    state_sum(state);
    state_free(coarse);
    return state;
}

/* The last level's end: everything where it may be, then no single change that is better. */
static void finish(State *state, Search *search, Schedule *schedule, double weight, Best *best) {
    set_prices(state, weight, 20);
    repair(state, &search->random);
    schedule->hard = 1;
    schedule->bend = schedule->last_bend;
    schedule->hot = fmin(schedule->hot, weight);
    schedule->sweeps *= HARD_SHARE / (1 - HARD_SHARE);
    anneal(state, schedule, &search->random, search->stop, best);
    settle(state, &search->random);
    best_of(best, state);
}

void descend(Search *search, const Start *start, const Trial *trial, Best *best) {
    Tower tower;
    raise_tower(&tower, search, start, trial);
    State *state = state_new(tower.level[tower.count - 1], search->site);
    set_prices(state, search->least, 1);
    if (start == NULL) grow(state, trial->shy, trial->orderly ? NULL : &search->random);
    else state_fill(state, tower.part[tower.count - 1]);
    for (int32_t at = tower.count - 1; at >= 0; at--) {
        if (at < tower.count - 1) state = project(tower.level[at], search->site, state);
        const double weight = typical_weight(state, search, trial->all);
        const double heat = weight * pow(fmax(1, ties_per_vertex(state->level) / weight), at > 0 ? trial->bulky : 0);
        Schedule schedule = {
            .hot = trial->hot * (at == tower.count - 1 ? 1 : trial->finer) * heat,
            .cold = trial->cold * search->least,
            .sweeps = trial->sweeps,
            .bend = trial->bend,
            .last_bend = fmin(trial->bend, 0.05),
        };
        schedule.hot = fmax(schedule.hot, 2 * schedule.cold);
        if (at == 0) schedule.sweeps *= 1 - HARD_SHARE;
        set_prices(state, weight, trial->price);
        anneal(state, &schedule, &search->random, search->stop, NULL);
        if (at == 0) finish(state, search, &schedule, weight, best);
    }
    state_free(state);
    raze_tower(&tower);
}
