//! Images: recipes, the store, the kit, overlays.
