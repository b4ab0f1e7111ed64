/* Frames as packet sockets hand them over: a virtio header says what the sender's kernel left undone. Pure. */
#ifndef BENITO_RELAY_FRAME_H
#define BENITO_RELAY_FRAME_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>

#include "queue.h"

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5 /* newer than some distributions' headers */
#endif

typedef struct virtio_net_hdr Offload;

enum { VLAN_BYTES = 4, MACS_BYTES = 12 };

/* How a large frame is cut into those that go over a wire. */
typedef struct {
    uint32_t count;        /* 1: the frame goes as it is */
    uint32_t header_bytes; /* up to the end of the TCP or UDP header */
    uint32_t payload_bytes;
    uint32_t segment_bytes; /* of payload in each but the last */
    uint32_t l3;            /* where the IP header begins */
} Cut;

/* How a frame would be cut; what is no TCP or UDP that we understand stays whole. */
Cut frame_cut(const Offload *offload, const uint8_t *frame, uint32_t bytes);

/* Bytes of the `index`-th piece. */
uint32_t frame_piece_bytes(const Cut *cut, uint32_t index);

/* Writes the `index`-th piece of a cut frame, its checksum still to be filled as `*piece_offload` says. */
void frame_piece(const Cut *cut, uint32_t index, const Offload *offload, const uint8_t *frame, uint8_t *piece, Offload *piece_offload);

/* Puts a VLAN tag that the kernel took off back in; `frame` has room for it. */
void frame_tag(Offload *offload, uint8_t *frame, uint32_t *bytes, uint16_t tpid, uint16_t tci);

/* Fills a checksum that was left to the hardware. */
void frame_fill_checksum(Offload *offload, uint8_t *frame, uint32_t bytes);

/* One bit is turned. The checksum is filled before, or nobody would notice. */
void frame_corrupt(Offload *offload, uint8_t *frame, uint32_t bytes, Random *random);

#endif
