//! Compiles `torch-ext`, and tells the linker where libtorch lies, so that programs and tests start without
//! LD_LIBRARY_PATH. Finding libtorch itself is the work of torch-sys's own build script.

use std::path::{Path, PathBuf};

fn main() {
    // torch-sys passes this on, as it declares `links = "tch"` and is a direct dependency of ours.
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect(
        "torch-sys should say where libtorch is: keep torch-sys in [dependencies] and see its build script",
    );
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    compile_torch_ext(Path::new(&lib));

    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        // As RPATH and not as RUNPATH, which a foreign LD_LIBRARY_PATH would come before: another
        // libtorch there would be loaded in place of ours, and the loader would end the program.
        println!("cargo:rustc-link-arg=-Wl,--disable-new-dtags");
        // scripts/setup.sh may put a libtorch with CUDA at the place of one without, or the reverse.
        println!("cargo:rerun-if-changed={lib}/libtorch_cpu.so");
        if Path::new(&lib).join("libtorch_cuda.so").exists() {
            keep_cuda(&lib);
        }
    }
}

/// Nothing in our code names a symbol of libtorch_cuda.so, which registers its kernels when it is
/// loaded; a linker that drops libraries without used symbols would leave a program that sees no GPU
/// (tch-rs issues 907, 964 and 980).
fn keep_cuda(lib: &str) {
    println!("cargo:rustc-link-arg=-L{lib}");
    println!("cargo:rustc-link-arg=-Wl,--no-as-needed,-ltorch_cuda,--as-needed");
}

/// What tch does not bind, by libtorch's headers, which lie beside its libraries.
fn compile_torch_ext(lib: &Path) {
    println!("cargo:rerun-if-changed=torch-ext");
    println!("cargo:rerun-if-env-changed=LIBTORCH_INCLUDE");
    let include = std::env::var_os("LIBTORCH_INCLUDE").map_or_else(
        || lib.with_file_name("include"),
        |folder| PathBuf::from(folder).join("include"),
    );
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .pic(true)
        .warnings(false) // of libtorch's headers
        .include(include)
        .file("torch-ext/context.cpp")
        .compile("convae_torch_ext");
}
