//! Tells the linker where libtorch lies, so that programs and tests start without LD_LIBRARY_PATH.
//! Finding libtorch itself is the work of torch-sys's own build script.

use std::path::Path;

fn main() {
    // torch-sys passes this on, as it declares `links = "tch"` and is a direct dependency of ours.
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect(
        "torch-sys did not say where libtorch is: keep torch-sys in [dependencies], with `links` as in 0.26",
    );
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");

    // Nothing in our code names a symbol of libtorch_cuda.so: it registers its kernels when it is
    // loaded. A linker that drops libraries without used symbols would leave a program that sees no
    // GPU (tch-rs issues 907, 964 and 980).
    let linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    if linux && Path::new(&lib).join("libtorch_cuda.so").exists() {
        println!("cargo:rustc-link-arg=-L{lib}");
        println!("cargo:rustc-link-arg=-Wl,--no-as-needed,-ltorch_cuda,--as-needed");
    }

    println!("cargo:rerun-if-changed=build.rs");
    // scripts/setup.sh may exchange the libtorch at the same place for one with or without CUDA.
    println!("cargo:rerun-if-changed={lib}");
}
