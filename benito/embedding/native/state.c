/* A placement and what moves in it cost. */
#include "embed.h"

#include <math.h>


#include <stdlib.h>
#include <string.h>

static inline int32_t slot_of(int32_t part, int32_t mask) { return (int32_t)(((uint32_t)part * 2654435761u) >> 7) & mask; }

int32_t pins_in(const State *state, int32_t net, int32_t part) {
    const int32_t base = state->slot_start[net], mask = state->slot_mask[net];
    for (int32_t i = slot_of(part, mask); state->slot_part[base + i] >= 0; i = (i + 1) & mask)
        if (state->slot_part[base + i] == part) return state->slot_count[base + i];
    return 0;
}

int32_t parts_of(const State *state, int32_t net) {
    int32_t parts = 0;
    for (int32_t i = 0; i <= state->slot_mask[net]; i++) parts += state->slot_part[state->slot_start[net] + i] >= 0;
    return parts;
}

static void pin_in(State *state, int32_t net, int32_t part) {
    const int32_t base = state->slot_start[net], mask = state->slot_mask[net];
    int32_t i = slot_of(part, mask);
    while (state->slot_part[base + i] >= 0 && state->slot_part[base + i] != part) i = (i + 1) & mask;
    if (state->slot_part[base + i] == part) {
        state->slot_count[base + i]++;
    } else {
        state->slot_part[base + i] = part;
        state->slot_count[base + i] = 1;
    }
}

static void pin_out(State *state, int32_t net, int32_t part) {
    int32_t *const parts = state->slot_part + state->slot_start[net], *const counts = state->slot_count + state->slot_start[net];
    const int32_t mask = state->slot_mask[net];
    int32_t hole = slot_of(part, mask);
    while (parts[hole] != part) hole = (hole + 1) & mask;
    if (--counts[hole] > 0) return;
    /* Entries after the hole that were pushed past it come back, so that look-ups may end at a free slot. */
    for (int32_t i = (hole + 1) & mask; parts[i] >= 0; i = (i + 1) & mask) {
        const int32_t home = slot_of(parts[i], mask);
        const int reachable = hole <= i ? (hole < home && home <= i) : (hole < home || home <= i);
        if (reachable) continue;
        parts[hole] = parts[i];
        counts[hole] = counts[i];
        hole = i;
    }
    parts[hole] = -1;
}

State *state_new(const Level *level, Site *site) {
    State *state = must_alloc(1, sizeof *state);
    const int32_t n = level->n, parts = site->parts;
    state->level = level;
    state->site = site;
    state->part = must_alloc(n, sizeof *state->part);
    state->place = must_alloc(n, sizeof *state->place);
    state->members = must_alloc(parts, sizeof *state->members);
    state->size = must_alloc(parts, sizeof *state->size);
    state->room = must_alloc(parts, sizeof *state->room);
    state->load = must_alloc((int64_t)parts * site->resources, sizeof *state->load);
    state->traffic = must_alloc(parts, sizeof *state->traffic);
    state->slot_start = must_alloc(level->nets, sizeof *state->slot_start);
    state->slot_mask = must_alloc(level->nets, sizeof *state->slot_mask);
    int32_t slots = 0;
    for (int32_t net = 0; net < level->nets; net++) {
        const int32_t pins = level->net_start[net + 1] - level->net_start[net];
        int32_t size = 4;
        while (size < 2 * (pins < parts ? pins : parts) + 2) size *= 2;
        state->slot_start[net] = slots;
        state->slot_mask[net] = size - 1;
        slots += size;
    }
    int32_t most = 1;
    for (int32_t net = 0; net < level->nets; net++)
        if (level->net_start[net + 1] - level->net_start[net] > most) most = level->net_start[net + 1] - level->net_start[net];
    state->root = must_alloc(most + 2, sizeof *state->root);
    for (int32_t pins = 0; pins < most + 2; pins++) state->root[pins] = sqrt(pins);
    state->slot_part = must_alloc(slots, sizeof *state->slot_part);
    state->slot_count = must_alloc(slots, sizeof *state->slot_count);
    for (int32_t i = 0; i < slots; i++) state->slot_part[i] = -1;
    for (int32_t v = 0; v < n; v++) state->part[v] = -1;
    return state;
}

void state_free(State *state) {
    for (int32_t p = 0; p < state->site->parts; p++) free(state->members[p]);
    free(state->part), free(state->place), free(state->members), free(state->size), free(state->room);
    free(state->load), free(state->traffic), free(state->root);
    free(state->slot_start), free(state->slot_mask), free(state->slot_part), free(state->slot_count);
    free(state);
}

void state_enter(State *state, int32_t vertex, int32_t part) {
    const Level *level = state->level;
    if (state->size[part] == state->room[part]) {
        state->room[part] = 2 * state->room[part] + 4;
        int32_t *more = realloc(state->members[part], (size_t)state->room[part] * sizeof *more);
        if (more == NULL) abort();
        state->members[part] = more;
    }
    state->place[vertex] = state->size[part];
    state->members[part][state->size[part]++] = vertex;
    state->part[vertex] = part;
    double *load = state->load + (int64_t)part * state->site->resources;
    for (int32_t i = level->need_start[vertex]; i < level->need_start[vertex + 1]; i++)
        load[level->need_what[i]] += level->need_amount[i];
    for (int32_t i = level->in_start[vertex]; i < level->in_start[vertex + 1]; i++) pin_in(state, level->in_net[i], part);
}

static void leave(State *state, int32_t vertex) {
    const Level *level = state->level;
    const int32_t part = state->part[vertex], last = state->members[part][--state->size[part]];
    state->members[part][state->place[vertex]] = last;
    state->place[last] = state->place[vertex];
    double *load = state->load + (int64_t)part * state->site->resources;
    for (int32_t i = level->need_start[vertex]; i < level->need_start[vertex + 1]; i++)
        load[level->need_what[i]] -= level->need_amount[i];
    for (int32_t i = level->in_start[vertex]; i < level->in_start[vertex + 1]; i++) pin_out(state, level->in_net[i], part);
}

/* What the move of one vertex adds to the uplinks of the part it leaves and of the part it enters; others' stay. */
static void traffic_of_move(const State *state, int32_t vertex, int32_t to, double *left, double *entered) {
    const Level *level = state->level;
    const int32_t from = state->part[vertex];
    double a = 0, b = 0;
    for (int32_t i = level->pair_start[vertex]; i < level->pair_start[vertex + 1]; i++) {
        const int32_t there = state->part[level->pair_to[i]];
        const double weight = level->pair_weight[i];
        if (there == from) a += weight, b += weight;
        else if (there == to) a -= weight, b -= weight;
        else a -= weight, b += weight;
    }
    for (int32_t i = level->in_start[vertex]; i < level->in_start[vertex + 1]; i++) {
        const int32_t net = level->in_net[i], here = pins_in(state, net, from), there = pins_in(state, net, to);
        const int32_t pins = level->net_start[net + 1] - level->net_start[net];
        const double weight = level->net_weight[net];
        const int crossed = here < pins, crosses = there + 1 < pins;
        a += weight * ((here > 1 && crosses) - crossed);
        b += weight * (crosses - (there > 0));
    }
    *left = a;
    *entered = b;
}

void state_move(State *state, int32_t vertex, int32_t to) {
    if (state->site->uplinks_limited) {
        double left, entered;
        traffic_of_move(state, vertex, to, &left, &entered);
        state->traffic[state->part[vertex]] += left;
        state->traffic[to] += entered;
    }
    leave(state, vertex);
    state_enter(state, vertex, to);
}

void state_fill(State *state, const int32_t *part) {
    for (int32_t v = 0; v < state->level->n; v++) state_enter(state, v, part[v]);
    state_sum(state);
}

/* Makes all sums anew from where the vertices are. */
void state_sum(State *state) {
    const Level *level = state->level;
    memset(state->traffic, 0, (size_t)state->site->parts * sizeof *state->traffic);
    for (int32_t v = 0; v < level->n; v++)
        for (int32_t i = level->pair_start[v]; i < level->pair_start[v + 1]; i++)
            if (state->part[level->pair_to[i]] != state->part[v]) state->traffic[state->part[v]] += level->pair_weight[i];
    for (int32_t net = 0; net < level->nets; net++) {
        if (parts_of(state, net) < 2) continue;
        for (int32_t i = 0; i <= state->slot_mask[net]; i++) {
            const int32_t there = state->slot_part[state->slot_start[net] + i];
            if (there >= 0) state->traffic[there] += level->net_weight[net];
        }
    }
    state->cut = cut_total(state);
    state->excess = excess_total(state);
}

/* What a net adds to the cut when one of its pins moves. */
static inline double cut_of_net(const State *state, int32_t net, int32_t from, int32_t to) {
    const int32_t here = pins_in(state, net, from), there = pins_in(state, net, to);
    const double weight = state->level->net_weight[net];
    const double cut = weight * ((there == 0) - (here == 1));
    if (state->bend == 0) return cut;
    const double *root = state->root;
    const double gathered = root[there + 1] - root[there] + root[here - 1] - root[here];
    return (1 - state->bend) * cut + state->bend * weight * gathered / root[state->level->net_start[net + 1] - state->level->net_start[net]];
}

double cut_of_move(const State *state, int32_t vertex, int32_t to) {
    const Level *level = state->level;
    const int32_t from = state->part[vertex];
    double cut = 0;
    for (int32_t i = level->pair_start[vertex]; i < level->pair_start[vertex + 1]; i++) {
        const int32_t there = state->part[level->pair_to[i]];
        if (there == from) cut += level->pair_weight[i];
        else if (there == to) cut -= level->pair_weight[i];
    }
    for (int32_t i = level->in_start[vertex]; i < level->in_start[vertex + 1]; i++) {
        cut += cut_of_net(state, level->in_net[i], from, to);
    }
    return cut;
}

double cut_of_swap(const State *state, int32_t one, int32_t other) {
    const Level *level = state->level;
    const int32_t here = state->part[one], there = state->part[other];
    double cut = 0;
    for (int32_t i = level->pair_start[one]; i < level->pair_start[one + 1]; i++) {
        const int32_t end = level->pair_to[i], part = state->part[end];
        if (end == other) continue;
        if (part == here) cut += level->pair_weight[i];
        else if (part == there) cut -= level->pair_weight[i];
    }
    for (int32_t i = level->pair_start[other]; i < level->pair_start[other + 1]; i++) {
        const int32_t end = level->pair_to[i], part = state->part[end];
        if (end == one) continue;
        if (part == there) cut += level->pair_weight[i];
        else if (part == here) cut -= level->pair_weight[i];
    }
    /* Nets that hold both stay as they are. */
    int32_t i = level->in_start[one], j = level->in_start[other];
    const int32_t i_end = level->in_start[one + 1], j_end = level->in_start[other + 1];
    while (i < i_end || j < j_end) {
        const int32_t a = i < i_end ? level->in_net[i] : INT32_MAX, b = j < j_end ? level->in_net[j] : INT32_MAX;
        if (a < b) cut += cut_of_net(state, a, here, there);
        if (b < a) cut += cut_of_net(state, b, there, here);
        i += a <= b;
        j += b <= a;
    }
    return cut;
}

static double excess_of_conflicts(const State *state, int32_t part) {
    const Site *site = state->site;
    const double *load = state->load + (int64_t)part * site->resources;
    double excess = 0;
    for (int32_t i = 0; i < site->conflicts; i++) {
        const double a = load[site->conflict[2 * i]], b = load[site->conflict[2 * i + 1]];
        excess += site->conflict_price * (a < b ? a : b);
    }
    return excess;
}

/* Price of all that is too much on one part. */
static double excess_of_part(const State *state, int32_t part) {
    const Site *site = state->site;
    const double *load = state->load + (int64_t)part * site->resources;
    const double *capacity = site->capacity + (int64_t)part * site->resources;
    double excess = excess_of_conflicts(state, part);
    for (int32_t r = 0; r < site->resources; r++) excess += site->price[r] * above(load[r], capacity[r]);
    if (site->uplinks_limited) excess += site->uplink_price * above(state->traffic[part], site->uplink[part]);
    return excess;
}

double excess_of_parts(const State *state, int32_t one, int32_t other) {
    return excess_of_part(state, one) + excess_of_part(state, other);
}

double excess_total(const State *state) {
    double excess = 0;
    for (int32_t p = 0; p < state->site->parts; p++) excess += excess_of_part(state, p);
    return excess;
}

/* What it adds to a part's excess, uplinks aside, when a vertex that is nowhere comes there. */
double excess_of_coming(State *state, int32_t vertex, int32_t part) {
    const Level *level = state->level;
    const Site *site = state->site;
    double *load = state->load + (int64_t)part * site->resources;
    const double *capacity = site->capacity + (int64_t)part * site->resources;
    double excess = -excess_of_conflicts(state, part);
    for (int32_t i = level->need_start[vertex]; i < level->need_start[vertex + 1]; i++) {
        const int32_t r = level->need_what[i];
        excess += site->price[r] * (above(load[r] + level->need_amount[i], capacity[r]) - above(load[r], capacity[r]));
        load[r] += level->need_amount[i];
    }
    excess += excess_of_conflicts(state, part);
    for (int32_t i = level->need_start[vertex]; i < level->need_start[vertex + 1]; i++)
        load[level->need_what[i]] -= level->need_amount[i];
    return excess;
}

/* Counts a vertex's needs at another part, and nothing else. */
static void shift_needs(State *state, int32_t vertex, int32_t from, int32_t to) {
    const Level *level = state->level;
    double *here = state->load + (int64_t)from * state->site->resources;
    double *there = state->load + (int64_t)to * state->site->resources;
    for (int32_t i = level->need_start[vertex]; i < level->need_start[vertex + 1]; i++) {
        here[level->need_what[i]] -= level->need_amount[i];
        there[level->need_what[i]] += level->need_amount[i];
    }
}

double excess_of_move(State *state, int32_t vertex, int32_t to) {
    const Level *level = state->level;
    const Site *site = state->site;
    const int32_t from = state->part[vertex];
    double *here = state->load + (int64_t)from * site->resources, *there = state->load + (int64_t)to * site->resources;
    const double *here_most = site->capacity + (int64_t)from * site->resources;
    const double *there_most = site->capacity + (int64_t)to * site->resources;
    double excess = 0;
    const double before = site->conflicts ? excess_of_conflicts(state, from) + excess_of_conflicts(state, to) : 0;
    for (int32_t i = level->need_start[vertex]; i < level->need_start[vertex + 1]; i++) {
        const int32_t r = level->need_what[i];
        const double amount = level->need_amount[i];
        excess += site->price[r] * (above(here[r] - amount, here_most[r]) - above(here[r], here_most[r]) +
                                    above(there[r] + amount, there_most[r]) - above(there[r], there_most[r]));
    }
    if (site->conflicts) {
        shift_needs(state, vertex, from, to);
        excess += excess_of_conflicts(state, from) + excess_of_conflicts(state, to) - before;
        shift_needs(state, vertex, to, from);
    }
    if (site->uplinks_limited) {
        double left, entered;
        traffic_of_move(state, vertex, to, &left, &entered);
        const double a = state->traffic[from], b = state->traffic[to];
        excess += site->uplink_price * (above(a + left, site->uplink[from]) - above(a, site->uplink[from]) +
                                        above(b + entered, site->uplink[to]) - above(b, site->uplink[to]));
    }
    return excess;
}

double excess_of_swap(State *state, int32_t one, int32_t other) {
    const Site *site = state->site;
    if (!site->uplinks_limited && state->level->shape[one] == state->level->shape[other]) return 0;
    const int32_t here = state->part[one], there = state->part[other];
    const double before = excess_of_parts(state, here, there);
    if (site->uplinks_limited) {
        /* The second move's traffic depends on the first, so both are made and taken back. */
        state_move(state, one, there);
        state_move(state, other, here);
        const double after = excess_of_parts(state, here, there);
        state_move(state, one, here);
        state_move(state, other, there);
        return after - before;
    }
    shift_needs(state, one, here, there);
    shift_needs(state, other, there, here);
    const double after = excess_of_parts(state, here, there);
    shift_needs(state, one, there, here);
    shift_needs(state, other, here, there);
    return after - before;
}

