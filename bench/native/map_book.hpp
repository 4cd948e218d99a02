// The order book that most people write first, and the yardstick: one std::map per side.
#pragma once
#include <cstdint>
#include <functional>
#include <map>

template <class Order>
struct MapSide {
    std::map<int64_t, int64_t, Order> levels;

    void clear() { levels.clear(); }

    template <class Level>
    void apply(const Level *level, uint32_t count) {
        for (const Level *end = level + count; level != end; ++level) {
            if (level->quantity)
                levels[level->price] = level->quantity;
            else
                levels.erase(level->price);
        }
    }

    template <class Level>
    void best(Level *out) const {
        out->price = levels.empty() ? 0 : levels.begin()->first;
        out->quantity = levels.empty() ? 0 : levels.begin()->second;
    }

    template <class Level>
    uint32_t walk(Level *out) const {
        uint32_t count = 0;
        for (const auto &[price, quantity] : levels) {
            out[count].price = price;
            out[count++].quantity = quantity;
        }
        return count;
    }
};

struct MapBook {
    MapSide<std::greater<int64_t>> bids;
    MapSide<std::less<int64_t>> asks;
};
