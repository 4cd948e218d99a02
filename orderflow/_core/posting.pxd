"""Parents that join: what is due of them is placed as it costs least, some at market and some in queues, which wait.

At the best price of its side on several exchanges, each order as large as its place in the queue is worth it until the
time is up (algos/placing.pxd); the rest goes to the market like anything that is due (routing.pxd). All of it together
is never more than what is due. Until what is a slice's time, and for one that is not paced its own; when the next slice
begins, what was due before it goes to the market, and orders that are out stay in their queues for it.

From then on an order stays while its place is worth it. It follows the best price (pegging.pxd). When its chance has
fallen so far that more than half of it is too much, it is cancelled, and where the exchange can make it smaller in
place, that is done at a quarter; what is free then is placed anew. An order is never made larger: that would cost its
place. On a listing whose exchange has ended an order by itself, no more of the parent are posted.

Orders come and go for tokens (`Parent.moves`), which bound the messages of a market that flickers. What waits for one
is due still, and goes to the market if it waits too long.

Router thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport (
    consolidated, conversion, iceberg, order_states, order_table, pacing, parents, passive, pegging, queues,
    token_bucket)
from orderflow._core.algos cimport placing, queue
from orderflow._core.algos.placing cimport Queue
from orderflow._core.child_orders cimport cancel_child
from orderflow._core.consolidated cimport FEE_UNIT, MAXIMUM_OFFERS
from orderflow._core.converted_listings cimport rate_for
from orderflow._core.fixed cimport int128
from orderflow._core.minimums cimport is_enough, too_little
from orderflow._core.order_states cimport Fact, Order
from orderflow._core.order_table cimport NONE
from orderflow._core.parent_changes cimport take_wanted, withdraw
from orderflow._core.parents cimport Parent
from orderflow._core.passive cimport Plan
from orderflow._core.posted_orders cimport members, out_at, posted_at
from orderflow._core.resting_parents cimport amend_child, most_shown, send_resting
from orderflow._core.risk_own_orders cimport rank
from orderflow._core.router_state cimport Posted, RouterState
from orderflow._core.router_view cimport is_tradable, keep_to, usable
from orderflow._core.types cimport Amends, BoardEntry, Conversion, Listing, OrderStatus, Reason, RoutePolicy, Side

cdef enum:
    LOOKS = 32                  # while an order waits: its chance falls with time alone
    LAST_LOOKS = 4              # of what is left of its time, one part of so many
    LEAST_LOOK_NS = 10_000_000
    LEAST_LEAD_NS = 1_000_000_000
    TOO_MUCH = 2                # one part of so many
    TOO_MUCH_IN_PLACE = 4


cdef struct Market:             # of one parent, while it is decided on
    int128 taken                # best all-in price of the other side; 0 = nobody is there
    int128 usual                # what waiting usually saves, all-in; 0 = nothing was seen
    int64_t left_ns
    uint8_t side


cdef struct Place:              # a listing where an order could go
    int128 cost                 # all-in, if it is filled there
    int64_t price               # listing scale
    uint32_t listing
    uint32_t k                  # its place within the instrument
    uint8_t held                # nothing can be sent there for a moment: its part waits


cdef struct Standing:           # of all orders of a parent that are in books
    int64_t out                 # instrument scale
    int64_t room                # how much more would be worth its place there
    uint8_t waits               # something is on its way that decides what is free


cdef nogil:
    inline int64_t lead_ns(const Parent *parent) noexcept:
        """How long before the end of a schedule nothing of it waits any more. A cancel and an order that crosses have
        to come through in that time, however short a slice is."""
        cdef int64_t length = parent.order.end_ns - parent.order.start_ns
        cdef int64_t lead = length // parent.order.slices // passive.LEAD_SHARE
        cdef int64_t least = length // passive.LEAD_SHARE
        least = least if least < LEAST_LEAD_NS else <int64_t>LEAST_LEAD_NS
        lead = lead if lead > least else least
        return lead if lead < passive.LEAD_NS else <int64_t>passive.LEAD_NS

    inline int64_t horizon_ns(const Parent *parent) noexcept:
        """Until when an order waits."""
        cdef int64_t last_ns = parent.order.end_ns
        cdef int64_t slice_ns
        if not pacing.is_paced(parent.order.algorithm):
            return last_ns
        last_ns -= lead_ns(parent)
        slice_ns = pacing.slice_ns(parent)
        return slice_ns if slice_ns < last_ns else last_ns

    inline int64_t released(const Parent *parent) noexcept:
        if not pacing.is_paced(parent.order.algorithm) or parent.released > parent.order.quantity:
            return parent.order.quantity
        return parent.released

    inline int64_t overdue(const Parent *parent, int64_t now_ns) noexcept:
        """So much is to be filled, out at market or in doubt by now."""
        if not pacing.is_paced(parent.order.algorithm):
            return 0
        if now_ns >= parent.order.end_ns - lead_ns(parent):
            return released(parent)
        return parent.overdue if parent.overdue < released(parent) else released(parent)

    inline int128 post_price(const RouterState *self, uint32_t listing, uint8_t side, int64_t price) noexcept:
        """All-in, if it is filled there."""
        cdef const Listing *where = &self.listings[listing]
        cdef int64_t fee = where.maker_fee if side == Side.BUY else -where.maker_fee
        return <int128>conversion.instrument_price(where, price, rate_for(self, listing, side), side) * (
            <int64_t>FEE_UNIT + fee)

    inline void look_at_market(const RouterState *self, const Parent *parent, int64_t now_ns, Market *market) noexcept:
        """What taking costs now on the best of its listings, and what waiting usually saves on the one where that is
        least."""
        cdef uint32_t begin = self.first[parent.order.instrument]
        cdef const BoardEntry *view
        cdef uint32_t k, i
        cdef int128 price, usual
        cdef int64_t spread
        market.side = parent.order.side
        market.taken = market.usual = 0
        market.left_ns = horizon_ns(parent) - now_ns
        for k in range(self.first[parent.order.instrument + 1] - begin):
            i = self.members[begin + k]
            if ((parent.order.listings and not (parent.order.listings >> k) & 1)
                    or not is_tradable(self, i, market.side, now_ns)):
                continue
            view = &self.views[i]
            if (view.ask_count if market.side == Side.BUY else view.bid_count) == 0:
                continue
            price = consolidated.all_in(&self.listings[i], market.side, queues.side_of(
                view, Side.SELL if market.side == Side.BUY else Side.BUY)[0].price, rate_for(self, i, market.side))
            if market.taken == 0 or (price < market.taken if market.side == Side.BUY else price > market.taken):
                market.taken = price
            spread = queues.usual_spread(&self.states[i])
            if spread:
                usual = <int128>conversion.instrument_price(
                    &self.listings[i], spread, rate_for(self, i, market.side), market.side) * <int64_t>FEE_UNIT
                usual = usual + price / <int64_t>FEE_UNIT * (self.listings[i].taker_fee - self.listings[i].maker_fee)
                if market.usual == 0 or usual < market.usual:
                    market.usual = usual

    inline void describe(RouterState *self, const Parent *parent, const Market *market, uint32_t listing,
                         int64_t price, int64_t ahead, Queue *out) noexcept:
        """A queue, in instrument scale."""
        cdef int64_t factor = self.listings[listing].quantity_factor
        cdef int128 mean
        cdef int128 cost = market.taken - post_price(self, listing, market.side, price)
        if market.side == Side.SELL:
            cost = -cost
        if market.taken == 0:
            cost = 1                        # it crosses as soon as there is somebody
        out.worth = queue.worth(parent.order.urgency, cost, market.usual if market.taken else <int128>1)
        out.ahead = ahead * factor
        out.quantity = 0
        out.mean = queue.mean(&self.states[listing].queues[rank(market.side)].outflow, market.left_ns)
        if out.mean > 0:
            mean = out.mean
            mean = mean * factor
            out.mean = <int64_t>mean if mean < <int64_t>placing.LARGEST else <int64_t>placing.LARGEST

    inline uint8_t can_amend(const RouterState *self, uint32_t listing) noexcept:
        """Amends: one order has one rate for as long as it lives."""
        if self.listings[listing].conversion != Conversion.NOT_CONVERTED:
            return Amends.AMENDS_NOTHING
        return self.ports[self.listings[listing].exchange].amends

    inline void change(RouterState *self, uint32_t slot, uint32_t at, uint8_t least, int64_t price, int64_t quantity,
                       Standing *standing, int64_t now_ns) noexcept:
        """Another price or whole quantity (listing scale) in place, where the exchange can do `least`; else it goes."""
        cdef Order *order = &self.table.orders[at]
        pegging.note_departure(self, order, now_ns)
        token_bucket.spend_token(&self.table.parents[slot].moves, now_ns)
        if quantity > order.cumulative and can_amend(self, order.child.listing) >= least:
            pegging.note_change(self, order.child.listing, order.child.side, price, quantity, now_ns)
            amend_child(self, slot, at, price, quantity, now_ns)
        else:
            cancel_child(self, at, now_ns)
            standing.waits = 1

    inline void keep_up(RouterState *self, uint32_t slot, uint32_t at, uint32_t k, const Market *market,
                        Standing *standing, int64_t now_ns) noexcept:
        """One order that is out: it follows, is made smaller, or goes, or stays."""
        cdef Parent *parent = &self.table.parents[slot]
        cdef Order *order = &self.table.orders[at]
        cdef uint32_t listing = order.child.listing
        cdef int64_t factor = self.listings[listing].quantity_factor
        cdef int64_t out = order_states.reserved(order) * factor
        cdef int64_t price, worth, smaller
        cdef Queue standing_in
        if order.status == OrderStatus.IN_DOUBT:
            return                          # and counted as that
        standing.out += out
        if order.facts & Fact.CANCEL_WANTED:
            standing.waits |= order.cancels < 2     # one that had no answer in time is not waited for
            return
        price = pegging.pegged(self, parent, listing, now_ns)
        if price == pegging.UNCLEAR:
            pegging.look_at(self, slot, now_ns + pegging.LINGER_NS, now_ns)
            return
        if price == 0:
            pegging.note_departure(self, order, now_ns)
            cancel_child(self, at, now_ns)
            standing.waits = 1
            return
        if not passive.is_quiet(order) or not passive.is_acknowledged(order):
            return
        if price != order.child.price:
            if pegging.may_move(self, slot, listing, now_ns):
                change(self, slot, at, Amends.AMENDS_PRICE_AND_QUANTITY, price, order.child.quantity, standing, now_ns)
            return
        queues.find_place(self, &posted_at(self, slot, k).place, order, now_ns)
        describe(self, parent, market, listing, price, queues.before(self, listing, market.side, price)
                 + queue.ahead(&posted_at(self, slot, k).place), &standing_in)
        if standing_in.mean < 0 or parent.order.urgency == 0:
            standing.room = placing.LARGEST
            return
        worth = placing.best_at(&standing_in, 0)
        if worth >= out:
            standing.room = min(standing.room + worth - out, <int64_t>placing.LARGEST)
            return
        if too_little(self, &parent.order, out):
            return                          # nowhere else is it taken
        smaller = passive.in_lots(&self.listings[listing], worth)
        if out - worth > out // TOO_MUCH:
            smaller = 0
        elif (out - worth <= out // TOO_MUCH_IN_PLACE or can_amend(self, listing) < Amends.AMENDS_QUANTITY_DOWN
              or not is_enough(self, listing, worth, price) or too_little(self, &parent.order, out - worth)):
            return
        if pegging.may_move(self, slot, listing, now_ns):
            change(self, slot, at, Amends.AMENDS_QUANTITY_DOWN, price, order.cumulative + smaller, standing, now_ns)

    inline bint comes_back(uint8_t reason) noexcept:
        """Whether an order that ended for that reason may be placed again some time."""
        return (reason == Reason.POST_ONLY_WOULD_TAKE or reason == Reason.LISTING_HALTED
                or reason == Reason.INSUFFICIENT_FUNDS or reason == Reason.RATE_LIMITED)

    inline void stand(RouterState *self, uint32_t slot, const Market *market, Standing *standing,
                      int64_t now_ns) noexcept:
        """All that is out in books."""
        cdef uint32_t k, at
        cdef Posted *posted
        standing.out = standing.room = 0
        standing.waits = 0
        for k in range(members(self, slot)):
            posted = posted_at(self, slot, k)
            at = out_at(self, slot, k)
            if at != <uint32_t>NONE:
                keep_up(self, slot, at, k, market, standing, now_ns)
            elif posted.order:
                at = order_table.find(self.table, posted.order, posted.slot)
                if at != <uint32_t>NONE and passive.ended_by_itself(&self.table.orders[at]):
                    posted.refused = not comes_back(self.table.orders[at].reason)
                posted.order = 0

    inline bint take_back(RouterState *self, uint32_t slot, int64_t now_ns) noexcept:
        """Cancel all that is out in books; whether there was anything."""
        cdef bint found = False
        cdef uint32_t k, at
        for k in range(members(self, slot)):
            at = out_at(self, slot, k)
            if at != <uint32_t>NONE and self.table.orders[at].status != OrderStatus.IN_DOUBT:
                pegging.note_departure(self, &self.table.orders[at], now_ns)
                found = True
        if found:
            withdraw(self, slot, now_ns)
        return found

    inline uint32_t find_places(RouterState *self, uint32_t slot, const Market *market, Place *places, Queue *found,
                                int64_t now_ns) noexcept:
        """Where an order could go, the cheapest to be filled at first."""
        cdef Parent *parent = &self.table.parents[slot]
        cdef uint32_t begin = self.first[parent.order.instrument]
        cdef uint32_t count = 0
        cdef uint32_t k, i, j
        cdef int64_t price
        cdef Place place
        if parent.order.urgency >= queue.SURE or market.left_ns <= 0:
            return 0
        for k in range(members(self, slot)):
            i = self.members[begin + k]
            if ((parent.order.listings and not (parent.order.listings >> k) & 1) or posted_at(self, slot, k).refused
                    or out_at(self, slot, k) != <uint32_t>NONE or not is_tradable(self, i, market.side, now_ns)):
                continue
            price = pegging.pegged(self, parent, i, now_ns)
            place.held = price == pegging.UNCLEAR or not usable(self, i, market.side, now_ns)
            if price == pegging.UNCLEAR:
                pegging.look_at(self, slot, now_ns + pegging.LINGER_NS, now_ns)
                price = queues.side_of(&self.views[i], market.side)[0].price
            if price <= 0:
                continue
            place.price, place.listing, place.k = price, i, k
            place.cost = post_price(self, i, market.side, price)
            j = count
            while j and (place.cost < places[j - 1].cost if market.side == Side.BUY
                         else place.cost > places[j - 1].cost):
                places[j] = places[j - 1]
                j -= 1
            places[j] = place
            count += 1
        if self.policy == RoutePolicy.SINGLE and count:
            count = 1
        for j in range(count):
            describe(self, parent, market, places[j].listing, places[j].price,
                     queues.before(self, places[j].listing, market.side, places[j].price)
                     + queues.shown_at(self, places[j].listing, market.side, places[j].price), &found[j])
        return count

    inline uint32_t drop_too_small(RouterState *self, Place *places, Queue *found, uint32_t count) noexcept:
        """Forget the first place that takes no order as small as it was given; how many places are left."""
        cdef uint32_t j, i
        for j in range(count):
            if found[j].quantity and not is_enough(self, places[j].listing, found[j].quantity, places[j].price):
                for i in range(j + 1, count):
                    places[i - 1], found[i - 1] = places[i], found[i]
                return count - 1
        return count

    inline void whole_lots(RouterState *self, const Place *places, Queue *found, uint32_t count) noexcept:
        """In lots of each listing; what that leaves over goes to those that can have it."""
        cdef int64_t over = 0
        cdef int64_t lots
        cdef uint32_t j
        cdef const Listing *listing
        for j in range(count):
            listing = &self.listings[places[j].listing]
            lots = passive.in_lots(listing, found[j].quantity) * listing.quantity_factor
            over += found[j].quantity - lots
            found[j].quantity = lots
        for j in range(count):
            listing = &self.listings[places[j].listing]
            lots = passive.in_lots(listing, over) * listing.quantity_factor
            if lots and is_enough(self, places[j].listing, found[j].quantity + lots, places[j].price):
                over -= lots
                found[j].quantity += lots

    inline int64_t divide(RouterState *self, const Parent *parent, Place *places, Queue *found, uint32_t *count,
                          int64_t quantity) noexcept:
        """Of a quantity, how much goes to the market; what each place gets is in the queues."""
        cdef uint32_t before = count[0] + 1
        cdef int64_t taken = quantity
        cdef uint32_t j
        while count[0] < before:
            before = count[0]
            taken = placing.place(found, count[0], quantity, parent.order.urgency > 0)
            count[0] = drop_too_small(self, places, found, count[0])
        for j in range(count[0] if taken and too_little(self, &parent.order, taken) else 0):
            if found[j].quantity:
                found[j].quantity += taken          # no exchange takes so little
                taken = 0
                break
        whole_lots(self, places, found, count[0])
        return taken

    inline void send_posts(RouterState *self, uint32_t slot, const Place *places, const Queue *found,
                           uint32_t count, int64_t now_ns, int64_t cause_ns) noexcept:
        """Place what the queues are given; what has no token yet waits for one."""
        cdef Parent *parent = &self.table.parents[slot]
        cdef Posted *posted
        cdef Plan plan
        cdef uint32_t j
        cdef int64_t most
        for j in range(count):
            most = found[j].quantity
            if 0 < iceberg.most_displayed(&parent.order) < most:
                most = min(most, most_shown(self, parent))
            if (places[j].held or not is_enough(self, places[j].listing, most, places[j].price)
                    or not pegging.may_move(self, slot, places[j].listing, now_ns)):
                continue
            token_bucket.spend_token(&parent.moves, now_ns)
            plan.price = places[j].price
            plan.quantity = passive.in_lots(&self.listings[places[j].listing], most)
            if send_resting(self, slot, places[j].listing, &plan, now_ns, cause_ns) != Reason.OK:
                continue
            posted = posted_at(self, slot, places[j].k)
            posted.order, posted.slot = parent.resting, parent.resting_slot
            posted.place.order = 0
            if self.policy == RoutePolicy.SINGLE:
                keep_to(self, parent, <uint64_t>1 << places[j].k)

    inline int64_t post(RouterState *self, uint32_t slot, int64_t now_ns, int64_t cause_ns) noexcept:
        """Place what is due of a parent; how much of it is to go to the market now, instrument scale."""
        cdef Parent *parent = &self.table.parents[slot]
        cdef Place places[MAXIMUM_OFFERS]
        cdef Queue found[MAXIMUM_OFFERS]
        cdef Market market
        cdef Standing standing
        cdef uint32_t count
        cdef int64_t due, must, free, taken
        if parent.closing:
            return 0
        look_at_market(self, parent, now_ns, &market)
        if parent.wanted_quantity:
            if (parent.wanted_quantity < parent.filled + parent.working + parent.in_doubt
                    and take_back(self, slot, now_ns)):     # it cannot be less before less is out
                look_later(self, slot, &market, now_ns)     # a cancel may not have left
                return 0
            take_wanted(self, slot, now_ns)
            if parent.closing:
                return 0
        if self.killed >> (32 + parent.order.strategy) & 1:
            return 0
        stand(self, slot, &market, &standing, now_ns)
        if parent.paused:
            return 0
        due = released(parent) - parent.filled - parent.in_doubt - (parent.working - standing.out)
        must = overdue(parent, now_ns) - parent.filled - parent.in_doubt - (parent.working - standing.out)
        must = must if must > 0 else 0
        free = due - standing.out
        if standing.out > due - must:
            take_back(self, slot, now_ns)
            look_later(self, slot, &market, now_ns)
            return must if must < free else free
        must = must if must < free else free
        free -= must
        if free > 0 and not standing.waits:
            count = find_places(self, slot, &market, places, found, now_ns)
            taken = divide(self, parent, places, found, &count, free)
            send_posts(self, slot, places, found, count, now_ns, cause_ns)
            if taken > standing.room and (parent.order.urgency or standing.out == 0 and too_little(
                    self, &parent.order, parents.remaining(parent))):
                must += taken - standing.room
        if due > 0:
            look_later(self, slot, &market, now_ns)     # else the next slice is soon enough
        return must

    inline void look_later(RouterState *self, uint32_t slot, const Market *market, int64_t now_ns) noexcept:
        """Its chances fall though nothing happens, and faster and faster."""
        cdef Parent *parent = &self.table.parents[slot]
        cdef int64_t length = parent.order.end_ns - parent.order.start_ns
        cdef int64_t step, at_ns
        if pacing.is_paced(parent.order.algorithm):
            length = length // parent.order.slices
        step = length // LOOKS
        if market.left_ns // LAST_LOOKS < step:
            step = market.left_ns // LAST_LOOKS
        at_ns = now_ns + (step if step > LEAST_LOOK_NS else <int64_t>LEAST_LOOK_NS)
        if at_ns < parent.order.end_ns:
            pegging.look_at(self, slot, at_ns, now_ns)
