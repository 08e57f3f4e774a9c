package update

// EventsName is the chained log of updates, orders and commands, below the agent's directory of updates.
const EventsName = "events"
