//! Realises one layer and keeps it as the lab file says.
