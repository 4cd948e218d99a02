// Both ends of the loopback latency test that are not orderflow: the exchange, and the client that does the least.
// Plain websocket frames (RFC 6455) on connected sockets that do not block; everything spins.
#pragma once
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <sys/socket.h>
#include <time.h>

#include "recorded_exchange.hpp"

namespace wire {

constexpr int64_t LIMIT_PATIENCE_NS = 5'000'000'000;
constexpr int64_t ORDER_PATIENCE_NS = 200'000'000;    // a client that the scheduler took away at the wrong moment
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

enum { NOTHING_CAME = -1, BROKEN = -2 };

// Reads until one whole frame is in `buffer`; the time of its last byte, or NOTHING_CAME, or BROKEN: closed, too large.
inline int64_t receive_frame(int fd, uint8_t *buffer, size_t room, int64_t patience_ns, size_t *header, size_t *size) {
    size_t got = 0;
    const int64_t deadline_ns = now_ns() + patience_ns;
    while (true) {
        const ssize_t n = recv(fd, buffer + got, room - got, MSG_DONTWAIT);
        if (n > 0) {
            got += n;
            *size = frame_size(buffer, got, header);
            if (*size && got >= *size) return got == *size ? now_ns() : BROKEN;
            if (got == room) return BROKEN;
        } else if (n == 0 || errno != EAGAIN) {
            return BROKEN;
        } else if (got == 0 && now_ns() > deadline_ns) {
            return NOTHING_CAME;
        }
    }
}

// Acknowledges and fills the order in `in`, and notes its id (16 bytes).
inline bool answer(int orders, uint8_t *in, size_t header, size_t size, uint64_t number, char *id_out) {
    uint8_t out[ORDER_ROOM];
    char text[1024];
    for (size_t k = header; k < size; ++k) in[k] ^= in[header - 4 + (k - header) % 4];
    const char *order = reinterpret_cast<const char *>(in + header);
    const recorded::Text id = recorded::client_order_id(order, size - header);
    std::memcpy(id_out, id.begin, id.size < 16 ? id.size : 16);
    size_t at = 0;
    for (const auto write : {recorded::acknowledge, recorded::fill}) {
        const int length = write(order, size - header, number, text, sizeof text);
        at += put_header(out + at, length);
        std::memcpy(out + at, text, length);
        at += length;
    }
    return send_all(orders, out, at);
}

// The exchange: one frame, one order, one answer; `latency_ns` of each frame, NOTHING_CAME where no order did; the id
// (16 bytes) of every order. A client that was not running when an answer came may see the next frame before it knows
// that its order is filled, and then rightly sends nothing. Returns how many orders there were, negative when it broke.
inline int64_t serve(int market, int orders, const char *data, const uint64_t *begins, const uint64_t *sizes,
                     int64_t count, int64_t pause_ns, int64_t *latency_ns, char *ids) {
    uint8_t in[ORDER_ROOM];
    uint64_t taken = 0;
    bool late = false;
    for (int64_t i = 0; i < count; ++i) {
        size_t header = 0, size = 0;
        const int64_t begin_ns = now_ns();
        if (!send_all(market, data + begins[i], sizes[i])) return BROKEN;
        const int64_t end_ns = receive_frame(orders, in, sizeof in, ORDER_PATIENCE_NS, &header, &size);
        if (end_ns == BROKEN) return BROKEN;
        // After a frame without an order, the next order may still be that one's: it does not count.
        latency_ns[i] = end_ns == NOTHING_CAME || late ? NOTHING_CAME : end_ns - begin_ns;
        late = end_ns == NOTHING_CAME;
        if (end_ns == NOTHING_CAME) continue;
        if (!answer(orders, in, header, size, taken + 1, ids + 16 * taken)) return BROKEN;
        ++taken;
        for (const int64_t until_ns = now_ns() + pause_ns; now_ns() < until_ns;) {}
    }
    return static_cast<int64_t>(taken);
}

// The client that does the least: receive, cut the frame, send a fixed order. Returns how many frames it answered.
inline int64_t answer_blindly(int market, int orders, const char *order, size_t order_size, int64_t count) {
    static uint8_t in[1 << 20], rest[1 << 16];
    size_t got = 0, header = 0, size = 0;
    int64_t answered = 0;
    int64_t heard_ns = now_ns();
    while (answered < count) {
        const ssize_t n = recv(market, in + got, sizeof in - got, MSG_DONTWAIT);
        if (n <= 0) {
            if (n == 0 || errno != EAGAIN || now_ns() - heard_ns > LIMIT_PATIENCE_NS) return answered;
            continue;
        }
        got += n;
        while ((size = frame_size(in, got, &header)) && got >= size) {
            if (!send_all(orders, order, order_size)) return answered;
            while (recv(orders, rest, sizeof rest, MSG_DONTWAIT) > 0) {}
            std::memmove(in, in + size, got -= size);
            heard_ns = now_ns();
            ++answered;
        }
    }
    return answered;
}

}  // namespace wire
