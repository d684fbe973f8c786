//! What crosses a level: messages, links, streams.
