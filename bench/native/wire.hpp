// Both ends of the loopback latency test that are not orderflow: the exchange, and the client that does the least.
// Plain websocket frames (RFC 6455) on connected sockets that do not block; everything spins.
#pragma once
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <sys/socket.h>
#include <time.h>

#include "recorded_exchange.hpp"

namespace wire {

constexpr int64_t PATIENCE_NS = 5'000'000'000;
constexpr size_t ORDER_ROOM = 4096;

inline int64_t now_ns() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

// Header of one unmasked text frame; returns its size.
inline size_t put_header(uint8_t *out, uint64_t size) {
    out[0] = 0x81;
    if (size < 126) {
        out[1] = static_cast<uint8_t>(size);
        return 2;
    }
    const int bytes = size < 65536 ? 2 : 8;
    out[1] = bytes == 2 ? 126 : 127;
    for (int i = 0; i < bytes; ++i) out[2 + i] = static_cast<uint8_t>(size >> 8 * (bytes - 1 - i));
    return 2 + bytes;
}

// Size of the frame at `data` with its header, 0 while the header is not whole; `header` is the header's own size.
inline size_t frame_size(const uint8_t *data, size_t size, size_t *header) {
    if (size < 2) return 0;
    const int code = data[1] & 0x7f;
    const size_t extended = code == 126 ? 2 : code == 127 ? 8 : 0;
    *header = 2 + extended + (data[1] & 0x80 ? 4 : 0);
    if (size < *header) return 0;
    uint64_t length = extended ? 0 : code;
    for (size_t i = 0; i < extended; ++i) length = length << 8 | data[2 + i];
    return *header + length;
}

inline bool send_all(int fd, const void *data, size_t size) {
    const char *at = static_cast<const char *>(data);
    while (size) {
        const ssize_t sent = send(fd, at, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return false;
        if (sent > 0) at += sent, size -= sent;
    }
    return true;
}

// Reads until one whole frame is in `buffer`; the time of its last byte, or -1 (closed, too large, or nobody sends).
inline int64_t receive_frame(int fd, uint8_t *buffer, size_t room, size_t *header, size_t *size) {
    size_t got = 0;
    const int64_t deadline_ns = now_ns() + PATIENCE_NS;
    while (true) {
        const ssize_t n = recv(fd, buffer + got, room - got, MSG_DONTWAIT);
        if (n > 0) {
            got += n;
            *size = frame_size(buffer, got, header);
            if (*size && got >= *size) return got == *size ? now_ns() : -1;
            if (got == room) return -1;
        } else if (n == 0 || errno != EAGAIN || now_ns() > deadline_ns) {
            return -1;
        }
    }
}

// The exchange: one frame, one order, one answer; `latency_ns` and the order's id (16 bytes each) of every frame.
// Returns how many frames were answered.
inline int64_t serve(int market, int orders, const char *data, const uint64_t *begins, const uint64_t *sizes,
                     int64_t count, int64_t pause_ns, int64_t *latency_ns, char *ids) {
    uint8_t in[ORDER_ROOM], out[ORDER_ROOM];
    for (int64_t i = 0; i < count; ++i) {
        size_t header = 0, size = 0;
        const int64_t begin_ns = now_ns();
        if (!send_all(market, data + begins[i], sizes[i])) return i;
        const int64_t end_ns = receive_frame(orders, in, sizeof in, &header, &size);
        if (end_ns < 0) return i;
        latency_ns[i] = end_ns - begin_ns;
        for (size_t k = header; k < size; ++k) in[k] ^= in[header - 4 + (k - header) % 4];
        const char *order = reinterpret_cast<const char *>(in + header);
        const recorded::Text id = recorded::client_order_id(order, size - header);
        std::memcpy(ids + 16 * i, id.begin, id.size < 16 ? id.size : 16);
        char text[1024];
        size_t at = 0;
        int length = recorded::acknowledge(order, size - header, i + 1, text, sizeof text);
        at += put_header(out + at, length);
        std::memcpy(out + at, text, length);
        at += length;
        length = recorded::fill(order, size - header, i + 1, text, sizeof text);
        at += put_header(out + at, length);
        std::memcpy(out + at, text, length);
        at += length;
        if (!send_all(orders, out, at)) return i;
        for (const int64_t until_ns = now_ns() + pause_ns; now_ns() < until_ns;) {}
    }
    return count;
}

// The client that does the least: receive, cut the frame, send a fixed order. Returns how many frames it answered.
inline int64_t answer_blindly(int market, int orders, const char *order, size_t order_size, int64_t count) {
    static uint8_t in[1 << 20], rest[1 << 16];
    for (int64_t i = 0; i < count; ++i) {
        size_t header = 0, size = 0;
        if (receive_frame(market, in, sizeof in, &header, &size) < 0) return i;
        if (!send_all(orders, order, order_size)) return i;
        while (recv(orders, rest, sizeof rest, MSG_DONTWAIT) > 0) {}
    }
    return count;
}

}  // namespace wire
