//! People who sign in, in real Chromium: what only a browser with scripts, layout and history can tell.

mod peers;
