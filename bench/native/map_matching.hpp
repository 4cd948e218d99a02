// The engine most people would write: std::map of price -> std::list of orders, and std::unordered_map of id -> where.
// Same rules and same reports as orderflow's for limit orders and cancels; the memory of the id table is reserved, which
// favours it. It neither sums levels nor follows changes, which favours it too.
#pragma once
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <unordered_map>

struct MapInstruction {  // laid out like orderflow's Instruction
    uint64_t order_id;
    int64_t price, quantity;
    uint32_t owner;
    uint8_t kind, side, order_type, time_in_force, flags, reserved[7];
};

struct MapReport {  // laid out like orderflow's MatchReport
    uint64_t maker_id, taker_id, trade_id;
    int64_t price, quantity, maker_remaining;
    uint32_t maker_owner, taker_owner;
    uint8_t taker_side, reserved[7];
};

class MapMatching {
    struct Order {
        uint64_t id;
        int64_t quantity;
        uint32_t owner;
    };
    using Queue = std::list<Order>;
    struct Place {
        int64_t price;
        uint8_t side;
        Queue::iterator order;
    };

    std::map<int64_t, Queue, std::greater<>> bids;
    std::map<int64_t, Queue> asks;
    std::unordered_map<uint64_t, Place> live;
    uint64_t last_trade_id = 0;

    template <class Makers, class Takers>
    MapReport *add(const MapInstruction &order, Makers &makers, Takers &own, MapReport *out) {
        if (live.find(order.order_id) != live.end()) return out;
        int64_t remaining = order.quantity;
        auto better = makers.key_comp();
        while (remaining > 0 && !makers.empty() && !better(order.price, makers.begin()->first)) {
            auto level = makers.begin();
            Queue &queue = level->second;
            while (remaining > 0 && !queue.empty()) {
                Order &maker = queue.front();
                int64_t traded = maker.quantity < remaining ? maker.quantity : remaining;
                maker.quantity -= traded;
                remaining -= traded;
                *out++ = MapReport{maker.id, order.order_id, ++last_trade_id, level->first, traded, maker.quantity,
                                   maker.owner, order.owner, order.side, {}};
                if (maker.quantity == 0) {
                    live.erase(maker.id);
                    queue.pop_front();
                }
            }
            if (queue.empty()) makers.erase(level);
        }
        if (remaining > 0) {
            Queue &queue = own[order.price];
            queue.push_back(Order{order.order_id, remaining, order.owner});
            live.emplace(order.order_id, Place{order.price, order.side, std::prev(queue.end())});
        }
        return out;
    }

    template <class Side>
    void remove(Side &side, const Place &place) {
        auto level = side.find(place.price);
        level->second.erase(place.order);
        if (level->second.empty()) side.erase(level);
    }

    void cancel(uint64_t id) {
        auto found = live.find(id);
        if (found == live.end()) return;
        if (found->second.side == 1) remove(bids, found->second);
        else remove(asks, found->second);
        live.erase(found);
    }

public:
    explicit MapMatching(size_t capacity) { live.reserve(capacity); }

    size_t run(const MapInstruction *instructions, size_t count, MapReport *out) {
        MapReport *begin = out;
        for (size_t i = 0; i < count; ++i) {
            const MapInstruction &instruction = instructions[i];
            if (instruction.kind == 2) cancel(instruction.order_id);
            else if (instruction.side == 1) out = add(instruction, asks, bids, out);
            else out = add(instruction, bids, asks, out);
        }
        return out - begin;
    }

    size_t orders() const { return live.size(); }
    size_t levels() const { return bids.size() + asks.size(); }

    // Depth of both sides as (price, quantity), bids first, best first: to compare final books.
    size_t depth(int64_t *out) const {
        int64_t *at = out;
        auto write = [&at](const auto &side) {
            for (const auto &[price, queue] : side) {
                int64_t sum = 0;
                for (const Order &order : queue) sum += order.quantity;
                *at++ = price;
                *at++ = sum;
            }
        };
        write(bids);
        write(asks);
        return (at - out) / 2;
    }
};
