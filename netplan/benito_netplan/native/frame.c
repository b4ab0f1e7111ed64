#include "frame.h"

#include <netinet/in.h>
#include <string.h>

enum {
    ETHERTYPE_AT = 12,
    TYPE_IPV4 = 0x0800,
    TYPE_IPV6 = 0x86dd,
    TYPE_VLAN = 0x8100,
    TYPE_QINQ = 0x88a8,
    TCP_CHECK_AT = 16,
    UDP_CHECK_AT = 6,
    TCP_FLAGS_AT = 13,
    FIN = 0x01,
    PSH = 0x08,
    CWR = 0x80,
};

static uint32_t get16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }

static void put16(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t get32(const uint8_t *at) { return get16(at) << 16 | get16(at + 2); }

static void put32(uint8_t *at, uint32_t value) {
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

static uint64_t sum_of(const uint8_t *at, uint32_t bytes) {
    uint64_t sum = 0;
    for (; bytes > 1; bytes -= 2, at += 2) sum += get16(at);
    return bytes ? sum + ((uint64_t)*at << 8) : sum;
}

static uint32_t folded(uint64_t sum) {
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return (uint32_t)sum;
}

/* Where the IP header begins, or 0. */
static uint32_t find_l3(const uint8_t *frame, uint32_t bytes, uint32_t *type) {
    uint32_t at = ETHERTYPE_AT;
    while (at + 2 <= bytes) {
        *type = get16(frame + at);
        if (*type != TYPE_VLAN && *type != TYPE_QINQ) return at + 2;
        at += VLAN_BYTES;
    }
    return 0;
}

static bool is_tcp(const Offload *offload) {
    const int type = offload->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
    return type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6;
}

Cut frame_cut(const Offload *offload, const uint8_t *frame, uint32_t bytes) {
    const Cut whole = {.count = 1, .header_bytes = 0, .payload_bytes = bytes, .segment_bytes = bytes};
    const int type = offload->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
    if (type == VIRTIO_NET_HDR_GSO_NONE || offload->gso_size == 0 || !(offload->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) return whole;
    if (!is_tcp(offload) && type != VIRTIO_NET_HDR_GSO_UDP_L4) return whole;
    uint32_t ethertype = 0;
    const uint32_t l3 = find_l3(frame, bytes, &ethertype), l4 = offload->csum_start;
    const uint32_t least = ethertype == TYPE_IPV4 ? 20 : 40;
    if (l3 == 0 || (ethertype != TYPE_IPV4 && ethertype != TYPE_IPV6) || l4 < l3 + least || l4 + 20 > bytes) return whole;
    if (ethertype == TYPE_IPV4 && l3 + (frame[l3] & 15u) * 4 != l4) return whole;
    const uint32_t header = l4 + (is_tcp(offload) ? (frame[l4 + 12] >> 4) * 4u : 8);
    if (header >= bytes || (is_tcp(offload) && header < l4 + 20)) return whole;
    const uint32_t payload = bytes - header;
    return (Cut){
        .count = (payload + offload->gso_size - 1) / offload->gso_size,
        .header_bytes = header,
        .payload_bytes = payload,
        .segment_bytes = offload->gso_size,
        .l3 = l3,
    };
}

static uint32_t payload_of(const Cut *cut, uint32_t index) {
    const uint32_t before = index * cut->segment_bytes, rest = cut->payload_bytes - before;
    return rest < cut->segment_bytes ? rest : cut->segment_bytes;
}

uint32_t frame_piece_bytes(const Cut *cut, uint32_t index) { return cut->header_bytes + payload_of(cut, index); }

/* The IP header's length, and what the transport's checksum takes from it. */
static uint32_t finish_ip(uint8_t *ip, uint32_t bytes, uint32_t l4_bytes, uint32_t index, uint32_t protocol) {
    if (ip[0] >> 4 == 6) {
        put16(ip + 4, bytes - 40);
        return folded(sum_of(ip + 8, 32) + l4_bytes + protocol);
    }
    put16(ip + 2, bytes);
    put16(ip + 4, (get16(ip + 4) + index) & 0xffff);
    put16(ip + 10, 0);
    put16(ip + 10, ~folded(sum_of(ip, (ip[0] & 15u) * 4)) & 0xffff);
    return folded(sum_of(ip + 12, 8) + l4_bytes + protocol);
}

void frame_piece(const Cut *cut, uint32_t index, const Offload *offload, const uint8_t *frame, uint8_t *piece, Offload *piece_offload) {
    const uint32_t payload = payload_of(cut, index), l4_at = offload->csum_start;
    const uint32_t l4_bytes = cut->header_bytes - l4_at + payload;
    memcpy(piece, frame, cut->header_bytes);
    memcpy(piece + cut->header_bytes, frame + cut->header_bytes + index * cut->segment_bytes, payload);
    *piece_offload = *offload;
    piece_offload->gso_type = VIRTIO_NET_HDR_GSO_NONE;
    piece_offload->gso_size = piece_offload->hdr_len = 0;
    uint8_t *l4 = piece + l4_at;
    const uint32_t protocol = is_tcp(offload) ? IPPROTO_TCP : IPPROTO_UDP;
    const uint32_t pseudo = finish_ip(piece + cut->l3, cut->header_bytes - cut->l3 + payload, l4_bytes, index, protocol);
    if (is_tcp(offload)) {
        put32(l4 + 4, get32(l4 + 4) + index * cut->segment_bytes);
        if (index + 1 < cut->count) l4[TCP_FLAGS_AT] &= (uint8_t)~(FIN | PSH);
        if (index > 0) l4[TCP_FLAGS_AT] &= (uint8_t)~CWR;
        put16(l4 + TCP_CHECK_AT, pseudo);
    } else {
        put16(l4 + 4, l4_bytes);
        put16(l4 + UDP_CHECK_AT, pseudo);
    }
}

void frame_tag(Offload *offload, uint8_t *frame, uint32_t *bytes, uint16_t tpid, uint16_t tci) {
    memmove(frame + MACS_BYTES + VLAN_BYTES, frame + MACS_BYTES, *bytes - MACS_BYTES);
    put16(frame + MACS_BYTES, tpid);
    put16(frame + MACS_BYTES + 2, tci);
    *bytes += VLAN_BYTES;
    if (offload->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) offload->csum_start += VLAN_BYTES;
    if (offload->hdr_len) offload->hdr_len += VLAN_BYTES;
}

void frame_fill_checksum(Offload *offload, uint8_t *frame, uint32_t bytes) {
    const uint32_t start = offload->csum_start, at = start + offload->csum_offset;
    if (!(offload->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) return;
    offload->flags = 0;
    if (start >= bytes || at + 2 > bytes) return;
    const uint32_t check = ~folded(sum_of(frame + start, bytes - start)) & 0xffff;
    put16(frame + at, check ? check : 0xffff);
}

void frame_corrupt(Offload *offload, uint8_t *frame, uint32_t bytes, Random *random) {
    if (bytes == 0) return;
    frame_fill_checksum(offload, frame, bytes);
    frame[random_u32(random) % bytes] ^= (uint8_t)(1u << (random_u32(random) & 7));
}
