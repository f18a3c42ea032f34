//! The cases of path reconstruction, as text: one event a line, dentries by name.
