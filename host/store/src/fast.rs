//! Maps for keys that are looked up for each event: hashed in a fraction of the time that the standard library's take, with a
//! seed that differs from process to process, so that nobody who names customers can make them collide.

use std::collections::HashMap;

/// See the module.
pub type FastMap<K, V> = HashMap<K, V, foldhash::fast::RandomState>;
