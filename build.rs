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
/// (tch-rs issues 907, 964 and 980). Those beside it are for torch-ext/cuda.cpp.
fn keep_cuda(lib: &str) {
    println!("cargo:rustc-link-arg=-L{lib}");
    println!("cargo:rustc-link-arg=-Wl,--no-as-needed,-ltorch_cuda,--as-needed");
    println!("cargo:rustc-link-arg=-lc10_cuda");
    if let Some(library) = cuda_runtime(Path::new(lib)) {
        println!("cargo:rustc-link-arg={library}");
    }
}

/// What tch does not bind, by libtorch's headers, which lie beside its libraries.
fn compile_torch_ext(lib: &Path) {
    println!("cargo:rerun-if-changed=torch-ext");
    println!("cargo:rerun-if-env-changed=LIBTORCH_INCLUDE");
    println!("cargo:rustc-check-cfg=cfg(convae_c10d)");
    println!("cargo:rustc-check-cfg=cfg(convae_cuda)");
    println!("cargo:rustc-check-cfg=cfg(convae_nccl)");
    let include = std::env::var_os("LIBTORCH_INCLUDE").map_or_else(
        || lib.with_file_name("include"),
        |folder| PathBuf::from(folder).join("include"),
    );
    let mut build = torch_ext(&include);
    match compile_group(&include, lib) {
        Ok(object) => {
            build.object(object);
            println!("cargo:rustc-cfg=convae_c10d");
        }
        Err(reason) => println!(
            "cargo:warning=this libtorch does not take torch-ext/group.cpp ({reason}), so this convae trains in one \
             process only"
        ),
    }
    if lib.join("libtorch_cuda.so").exists() {
        match compile_cuda(&include, lib) {
            Ok(object) => {
                build.object(object);
                println!("cargo:rustc-cfg=convae_cuda");
            }
            Err(reason) => println!(
                "cargo:warning=this libtorch does not take torch-ext/cuda.cpp ({reason}), so this convae starts a GPU's \
                 kernels one by one, which is slower"
            ),
        }
        match compile_nccl(&include, lib) {
            Ok((object, library)) => {
                build.object(object);
                println!("cargo:rustc-link-arg={library}");
                println!("cargo:rustc-cfg=convae_nccl");
            }
            Err(reason) => println!(
                "cargo:warning=torch-ext/nccl.cpp is left out ({reason}), so several processes of this convae add up their \
                 gradients through the processor's memory"
            ),
        }
    }
    build.files(["torch-ext/context.cpp", "torch-ext/summed.cpp"]).compile("convae_torch_ext");
}

fn torch_ext(include: &Path) -> cc::Build {
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").pic(true).include("torch-ext");
    build.include(include).include(include.join("torch/csrc/api/include"));
    build.warnings(false); // of libtorch's headers
    build
}

/// Training in several processes, where this libtorch has what it needs: headers, which not every package holds, and
/// symbols, which not every build has.
fn compile_group(include: &Path, lib: &Path) -> Result<PathBuf, String> {
    let header = include.join("torch/csrc/distributed/c10d/ProcessGroupGloo.hpp");
    if !header.exists() {
        return Err(format!("{} is not there", header.display()));
    }
    let mut build = torch_ext(include);
    build.define("USE_C10D_GLOO", None).file("torch-ext/group.cpp");
    linkable(&mut build, lib, &["-ltorch_cpu".into(), "-lc10".into()])
}

/// CUDA graphs, where CUDA's own headers lie beside libtorch's, where CUDA_HOME says, or where CUDA puts them.
fn compile_cuda(include: &Path, lib: &Path) -> Result<PathBuf, String> {
    let headers = cuda_headers(include, RUNTIME)?;
    let runtime = cuda_runtime(lib);
    // libtorch's classes have other members with other versions.
    let versions = (version_of(&headers.join(RUNTIME)), runtime.as_deref().and_then(version_in));
    if let (Some(headers), Some(library)) = versions
        && headers != library
    {
        return Err(format!(
            "the headers are those of CUDA {headers}, and libtorch's library is that of {library}"
        ));
    }
    let mut libraries = LIBTORCH_WITH_CUDA.map(String::from).to_vec();
    libraries.extend(runtime);
    let mut build = torch_ext(include);
    build.include(headers).file("torch-ext/cuda.cpp");
    linkable(&mut build, lib, &libraries)
}

/// Sums among the GPUs of several processes, where NCCL's header lies with CUDA's, and its library beside libtorch's. And
/// that library.
fn compile_nccl(include: &Path, lib: &Path) -> Result<(PathBuf, String), String> {
    let headers = [cuda_headers(include, RUNTIME)?, cuda_headers(include, "nccl.h")?];
    let library = lib.join("libnccl.so.2");
    if !library.exists() {
        return Err(format!("{} is not there", library.display()));
    }
    let library = library.display().to_string();
    let mut libraries = LIBTORCH_WITH_CUDA.map(String::from).to_vec();
    libraries.push(library.clone());
    libraries.extend(cuda_runtime(lib));
    let mut build = torch_ext(include);
    build.includes(headers).file("torch-ext/nccl.cpp");
    Ok((linkable(&mut build, lib, &libraries)?, library))
}

/// The folder with one of CUDA's headers.
fn cuda_headers(include: &Path, header: &str) -> Result<PathBuf, String> {
    println!("cargo:rerun-if-env-changed=CUDA_HOME");
    let home = std::env::var_os("CUDA_HOME").map(|home| Path::new(&home).join("include"));
    let places = [Some(include.join("cuda")), home, Some("/usr/local/cuda/include".into())];
    (places.into_iter().flatten())
        .find(|folder| folder.join(header).exists())
        .ok_or_else(|| format!("{header} is not there: name CUDA's folder in CUDA_HOME"))
}

/// CUDA's own library, which lies beside libtorch's under the name of its version.
fn cuda_runtime(lib: &Path) -> Option<String> {
    let mut files = std::fs::read_dir(lib).ok()?.filter_map(Result::ok);
    let file = files.find(|file| file.file_name().to_string_lossy().starts_with("libcudart"))?;
    Some(file.path().display().to_string())
}

const LIBTORCH_WITH_CUDA: [&str; 4] = ["-ltorch_cpu", "-lc10", "-ltorch_cuda", "-lc10_cuda"];

/// The header that says which CUDA it is of.
const RUNTIME: &str = "cuda_runtime_api.h";

/// CUDA's version, as in `#define CUDART_VERSION  13000`.
fn version_of(header: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(header).ok()?;
    let line = text.lines().find(|line| line.starts_with("#define CUDART_VERSION"))?;
    line.split_whitespace().last()?.parse::<u32>().ok().map(|version| version / 1000)
}

/// The same of `libcudart.so.13`.
fn version_in(library: &str) -> Option<u32> {
    library.rsplit_once(".so.")?.1.split('.').next()?.parse().ok()
}

/// Compiles a build's only file, and finds out whether these libraries have all that it names: the linker would say so only
/// when the program is linked.
fn linkable(build: &mut cc::Build, lib: &Path, libraries: &[String]) -> Result<PathBuf, String> {
    let objects = build
        .cargo_warnings(false)
        .try_compile_intermediates()
        .map_err(|_| "it does not compile".to_owned())?;
    let object = objects.into_iter().next().ok_or("it compiles to nothing")?;
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux") {
        let linked = Path::new(&std::env::var_os("OUT_DIR").unwrap_or_default()).join("linked.so");
        let mut link = build.get_compiler().to_command();
        link.args(["-shared", "-Wl,--no-undefined", "-o"]).arg(&linked).arg(&object);
        link.arg("-L").arg(lib).args(libraries);
        let output = link.output().map_err(|error| error.to_string())?;
        let _ = std::fs::remove_file(linked);
        if !output.status.success() {
            return Err("its libraries lack a symbol".to_owned());
        }
    }
    Ok(object)
}
