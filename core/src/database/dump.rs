//! Reading dumps as they pass.
