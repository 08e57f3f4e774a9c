package update

// EventsName is the chained log of updates, orders and commands, below the agent's directory of updates.
const EventsName = "events"

// EventSeries is the series of its entries in the stream of events: each value is one line of that log.
const EventSeries = "update.event"
