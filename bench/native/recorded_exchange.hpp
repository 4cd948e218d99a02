// What an exchange says to an order in Binance's words: the answer to order.place and the fill at the order's own price.
#pragma once
#include <cstdio>
#include <cstring>

namespace recorded {

// The text that follows `key` in a JSON object, up to the next quotation mark; empty if the key is not there.
struct Text {
    const char *begin = "";
    int size = 0;
};

inline Text value_of(const char *frame, size_t size, const char *key) {
    const size_t length = std::strlen(key);
    const char *at = static_cast<const char *>(memmem(frame, size, key, length));
    if (at == nullptr) return {};
    at += length;
    const char *end = static_cast<const char *>(std::memchr(at, '"', frame + size - at));
    return end == nullptr ? Text{} : Text{at, static_cast<int>(end - at)};
}

inline Text client_order_id(const char *order, size_t size) { return value_of(order, size, "\"newClientOrderId\":\""); }

// Answer to the request; returns its size.
inline int acknowledge(const char *order, size_t size, unsigned long long number, char *out, size_t room) {
    const Text id = value_of(order, size, "\"id\":\"");
    const Text client = client_order_id(order, size);
    return std::snprintf(out, room,
        "{\"id\":\"%.*s\",\"status\":200,\"result\":{\"symbol\":\"BTCUSDT\",\"orderId\":%llu,\"orderListId\":-1,"
        "\"clientOrderId\":\"%.*s\",\"transactTime\":1723161255208}}",
        id.size, id.begin, number, client.size, client.begin);
}

// Execution report: everything filled at once; returns its size.
inline int fill(const char *order, size_t size, unsigned long long number, char *out, size_t room) {
    const Text client = client_order_id(order, size);
    const Text price = value_of(order, size, "\"price\":\"");
    const Text quantity = value_of(order, size, "\"quantity\":\"");
    return std::snprintf(out, room,
        "{\"subscriptionId\":0,\"event\":{\"e\":\"executionReport\",\"E\":1723161255208,\"s\":\"BTCUSDT\","
        "\"c\":\"%.*s\",\"S\":\"BUY\",\"o\":\"LIMIT\",\"f\":\"IOC\",\"q\":\"%.*s\",\"p\":\"%.*s\",\"x\":\"TRADE\","
        "\"X\":\"FILLED\",\"i\":%llu,\"l\":\"%.*s\",\"z\":\"%.*s\",\"L\":\"%.*s\",\"n\":\"0.00000000\",\"N\":\"BNB\","
        "\"T\":1723161255208,\"t\":%llu,\"m\":false}}",
        client.size, client.begin, quantity.size, quantity.begin, price.size, price.begin, number,
        quantity.size, quantity.begin, quantity.size, quantity.begin, price.size, price.begin, number);
}

}  // namespace recorded
