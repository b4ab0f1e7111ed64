/* A first placement: parts are grown one after the other, each along the ties of what it holds already. */
#include "embed.h"

#include <float.h>
#include <stdlib.h>

typedef struct {
    State *state;
    double shy;                  /* how much ties to the unplaced count against a candidate */
    double *tie, *open;          /* ties to the part that grows; weight of all ties to vertices not yet placed */
    int32_t *candidate, *at, candidates, *net_seen;
    int32_t *frontier, frontiers, first, *order, *rank, found, scanned;
    int orderly;
    uint8_t *in_frontier;
} Growth;

static int fits(State *state, int32_t vertex, int32_t part) {
    const Level *level = state->level;
    const Site *site = state->site;
    if (!site->allowed[(int64_t)level->color[vertex] * site->parts + part]) return 0;
    const double *load = state->load + (int64_t)part * site->resources;
    const double *capacity = site->capacity + (int64_t)part * site->resources;
    for (int32_t i = level->need_start[vertex]; i < level->need_start[vertex + 1]; i++)
        if (load[level->need_what[i]] + level->need_amount[i] > capacity[level->need_what[i]]) return 0;
    return site->conflicts == 0 || excess_of_coming(state, vertex, part) == 0;
}

static void tie(Growth *g, int32_t vertex, double weight) {
    if (g->state->part[vertex] >= 0) return;
    if (g->at[vertex] < 0) {
        g->at[vertex] = g->candidates;
        g->candidate[g->candidates++] = vertex;
        g->tie[vertex] = 0;
        if (g->orderly) g->rank[vertex] = g->found++;
    }
    g->tie[vertex] += weight;
    if (!g->in_frontier[vertex]) {
        g->in_frontier[vertex] = 1;
        g->frontier[g->frontiers++] = vertex;
    }
}

static void place(Growth *g, int32_t vertex, int32_t part) {
    const Level *level = g->state->level;
    if (g->at[vertex] >= 0) {
        const int32_t last = g->candidate[--g->candidates];
        g->candidate[g->at[vertex]] = last;
        g->at[last] = g->at[vertex];
        g->at[vertex] = -1;
    }
    state_enter(g->state, vertex, part);
    for (int32_t i = level->pair_start[vertex]; i < level->pair_start[vertex + 1]; i++) {
        g->open[level->pair_to[i]] -= level->pair_weight[i];
        tie(g, level->pair_to[i], level->pair_weight[i]);
    }
    for (int32_t i = level->in_start[vertex]; i < level->in_start[vertex + 1]; i++) {
        const int32_t net = level->in_net[i];
        if (g->net_seen[net] == part + 1) continue;
        g->net_seen[net] = part + 1;
        for (int32_t j = level->net_start[net]; j < level->net_start[net + 1]; j++) tie(g, level->net_pin[j], level->net_weight[net]);
    }
}

static int32_t best_candidate(const Growth *g, int32_t part) {
    int32_t best = -1;
    double most = -DBL_MAX;
    for (int32_t i = 0; i < g->candidates; i++) {
        const int32_t v = g->candidate[i];
        const double score = g->tie[v] - g->shy * (g->open[v] - g->tie[v]);
        if (score < most || (score == most && best >= 0 && g->rank[v] > g->rank[best])) continue;
        if (fits(g->state, v, part)) most = score, best = v;
    }
    return best;
}

/* Where nothing that is tied fits: a vertex at the edge of what is placed, with few open ties; else any. */
static int32_t seed_vertex(Growth *g, int32_t part) {
    State *state = g->state;
    int32_t best = -1, looked = 0;
    double least = DBL_MAX;
    while (g->first < g->frontiers && state->part[g->frontier[g->first]] >= 0) g->first++;
    for (int32_t i = g->first; i < g->frontiers && looked < 64 && !g->orderly; i++) {
        const int32_t v = g->frontier[i];
        if (state->part[v] >= 0) continue;
        looked++;
        if (g->open[v] < least && fits(state, v, part)) least = g->open[v], best = v;
    }
    if (best >= 0) return best;
    while (g->scanned < state->level->n && state->part[g->order[g->scanned]] >= 0) g->scanned++;
    looked = 0;
    for (int32_t i = g->scanned; i < state->level->n && looked < 4096; i++) {
        if (state->part[g->order[i]] >= 0) continue;
        looked++;
        if (fits(state, g->order[i], part)) return g->order[i];
    }
    return -1;
}

static int32_t least_bad_part(State *state, int32_t vertex) {
    const Site *site = state->site;
    int32_t best = -1;
    double least = DBL_MAX;
    for (int32_t p = 0; p < site->parts; p++) {
        if (!site->allowed[(int64_t)state->level->color[vertex] * site->parts + p]) continue;
        const double excess = excess_of_coming(state, vertex, p);
        if (excess < least) least = excess, best = p;
    }
    return best < 0 ? 0 : best;
}

/* Where `random` is NULL, each part begins at the first vertex that is left, and of equals takes who was found first:
 * files often name neighbours one after the other, and so meshes are tiled. */
void grow(State *state, double shy, Random *random) {
    const Level *level = state->level;
    const int32_t n = level->n;
    Growth g = {.state = state, .shy = shy, .orderly = random == NULL};
    g.tie = must_alloc(n, sizeof *g.tie), g.open = must_alloc(n, sizeof *g.open);
    g.candidate = must_alloc(n, sizeof *g.candidate), g.at = must_alloc(n, sizeof *g.at);
    g.net_seen = must_alloc(level->nets, sizeof *g.net_seen);
    g.frontier = must_alloc(n, sizeof *g.frontier), g.in_frontier = must_alloc(n, sizeof *g.in_frontier);
    g.order = must_alloc(n, sizeof *g.order);
    for (int32_t v = 0; v < n; v++) {
        g.order[v] = v, g.at[v] = -1;
        for (int32_t i = level->pair_start[v]; i < level->pair_start[v + 1]; i++) g.open[v] += level->pair_weight[i];
        for (int32_t i = level->in_start[v]; i < level->in_start[v + 1]; i++) g.open[v] += level->net_weight[level->in_net[i]];
    }
    for (int32_t i = random == NULL ? 0 : n - 1; i > 0; i--) {
        const int32_t j = random_below(random, i + 1), kept = g.order[i];
        g.order[i] = g.order[j];
        g.order[j] = kept;
    }
    g.rank = must_alloc(n, sizeof *g.rank);
    for (int32_t i = 0; i < n; i++) g.rank[g.order[i]] = i;
    for (int32_t v = 0; v < n; v++)
        if (level->fixed[v] >= 0) place(&g, v, level->fixed[v]);
    for (int32_t p = 0; p < state->site->parts; p++) {
        for (int32_t i = 0; i < g.candidates; i++) g.at[g.candidate[i]] = -1;
        g.candidates = 0;
        for (int32_t i = 0; i < state->size[p]; i++) { /* those that are fixed here tie others to it */
            const int32_t v = state->members[p][i];
            for (int32_t j = level->pair_start[v]; j < level->pair_start[v + 1]; j++) tie(&g, level->pair_to[j], level->pair_weight[j]);
        }
        for (;;) {
            int32_t v = best_candidate(&g, p);
            if (v < 0) v = seed_vertex(&g, p);
            if (v < 0) break;
            place(&g, v, p);
        }
    }
    for (int32_t v = 0; v < n; v++)
        if (state->part[v] < 0) state_enter(state, v, least_bad_part(state, v));
    state_sum(state);
    free(g.tie), free(g.open), free(g.candidate), free(g.at), free(g.net_seen), free(g.frontier), free(g.in_frontier), free(g.order), free(g.rank);
}
