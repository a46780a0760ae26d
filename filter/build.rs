//! Bounds the linear memory of a VM (rule P11): a million bars, a full token cache, and room.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo::rustc-link-arg-cdylib=--max-memory=268435456");
    }
}
