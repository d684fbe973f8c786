//! The API at a level: guest services, the layer's routes, the supervisor's life.
