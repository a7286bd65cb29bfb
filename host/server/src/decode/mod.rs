//! From bytes to requests, strictly: what is not understood is refused by its name and place.

pub mod accept;
pub mod body;
pub mod cloudevents;
pub mod events;
pub mod json;
pub mod media;
pub mod parameters;
