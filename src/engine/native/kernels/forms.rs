//! The same kernels compiled for each instruction set, and which of them this CPU can run.

use super::channels::{self, Lines, Slopes, Sums};
use super::depthwise::{Depthwise, DepthwiseGradient, depthwise, depthwise_gradient};
use super::lanes::Portable;
use super::outer::{Outer, outer};
use super::overlap::{Overlap, overlap};
use super::pointwise::{self, Activate};
use super::product::{Product, product};
use super::tiles::{TileMap, tiles};
use super::{Candidates, Kernels, LogitLoss, Table, elementwise, softmax};

/// A table of kernels whose bodies are inlined into functions with these instructions enabled.
macro_rules! form {
    ($module:ident, $name:literal, $T:ident, $Vector:ty $(, $features:literal)?) => {
        pub mod $module {
            use super::*;
            use crate::engine::native::kernels::lanes::Lanes;

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn product_(run: &Product<'_, $T>, result: &mut [$T]) {
                // SAFETY: the caller's.
                unsafe { product::<$Vector>(run, result) }
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn outer_(run: &Outer<'_, $T>, sums: &mut [$T]) {
                // SAFETY: the caller's.
                unsafe { outer::<$Vector>(run, sums) }
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn depthwise_(run: &Depthwise<'_, $T>, result: &mut [$T]) {
                // SAFETY: the caller's.
                unsafe { depthwise::<$Vector>(run, result) }
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn depthwise_gradient_(run: &DepthwiseGradient<'_, $T>, sums: &mut [$T]) {
                // SAFETY: the caller's.
                unsafe { depthwise_gradient::<$Vector>(run, sums) }
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn tiles_(run: &TileMap<'_, $T>, target: &mut [$T]) {
                // SAFETY: the caller's.
                unsafe { tiles::<$Vector>(run, target) }
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn overlap_(run: &Overlap<'_, $T>, target: &mut [$T]) {
                // SAFETY: the caller's.
                unsafe { overlap::<$Vector>(run, target) }
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn relu(values: &mut [$T]) {
                elementwise::relu(values);
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn relu_gradient(results: &[$T], gradient: &mut [$T]) {
                elementwise::relu_gradient(results, gradient);
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn sigmoid(values: &mut [$T]) {
                elementwise::sigmoid(values);
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn activate(function: Activate, values: &[$T], results: &mut [$T]) {
                pointwise::activate(function, values, results);
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn activate_gradient(function: Activate, values: &[$T], gradient: &[$T], results: &mut [$T]) {
                pointwise::activate_gradient(function, values, gradient, results);
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn softmax_(values: &[$T], results: &mut [$T], channels: usize) {
                softmax::softmax(values, results, channels);
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn softmax_gradient(results: &[$T], gradient: &[$T], input_gradient: &mut [$T], channels: usize) {
                softmax::softmax_gradient(results, gradient, input_gradient, channels);
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn add_scaled(sums: &mut [$T], terms: &[$T], factor: $T) {
                elementwise::add_scaled(sums, terms, factor);
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn column_sums(table: &Table<'_, $T>, sums: &mut [$T]) {
                // SAFETY: the caller's.
                unsafe { elementwise::column_sums::<$Vector>(table, sums) }
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn max_pool(source: &[$T], pool: &Candidates<'_>, result: &mut [$T], winners: &mut [u8]) {
                elementwise::max_pool(source, pool, result, winners);
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn max_pool_gradient(gradient: &[$T], winners: &[u8], pool: &Candidates<'_>, result: &mut [$T]) {
                elementwise::max_pool_gradient(gradient, winners, pool, result);
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn logit_loss(loss: LogitLoss<$T>, logits: &mut [$T], targets: &[$T]) -> f64 {
                elementwise::logit_loss(loss, logits, targets)
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn moments(values: &[$T], from: &[f64], sums: &mut Sums) {
                channels::moments(values, from, sums);
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn lines(lines: &Lines<'_>, values: &[$T], results: &mut [$T]) {
                channels::lines(lines, values, results);
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn products(gradient: &[$T], values: &[$T], means: &[f64], sums: &mut Sums) {
                channels::products(gradient, values, means, sums);
            }

            /// # Safety
            /// The CPU has the instructions; else as what is inlined.
            $(#[target_feature(enable = $features)])?
            unsafe fn slopes(slopes: &Slopes<'_>, gradient: &[$T], values: &[$T], results: &mut [$T]) {
                channels::slopes(slopes, gradient, values, results);
            }

            pub static KERNELS: Kernels<$T> = Kernels {
                name: $name,
                lanes: <$Vector as Lanes>::COUNT,
                product: product_,
                outer: outer_,
                depthwise: depthwise_,
                depthwise_gradient: depthwise_gradient_,
                tiles: tiles_,
                overlap: overlap_,
                relu,
                relu_gradient,
                sigmoid,
                activate,
                activate_gradient,
                softmax: softmax_,
                softmax_gradient,
                add_scaled,
                column_sums,
                max_pool,
                max_pool_gradient,
                logit_loss,
                moments,
                lines,
                products,
                slopes,
            };
        }
    };
}

form!(portable_f32, "portable", f32, Portable<f32, 4>);
form!(portable_f64, "portable", f64, Portable<f64, 2>);

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{
        Activate, Candidates, Depthwise, DepthwiseGradient, Kernels, Lines, LogitLoss, Outer,
        Overlap, Product, Slopes, Sums, Table, TileMap, channels, depthwise, depthwise_gradient,
        elementwise, outer, overlap, pointwise, product, softmax, tiles,
    };

    form!(avx2_f32, "AVX2", f32, std::arch::x86_64::__m256, "avx2,fma");
    form!(avx2_f64, "AVX2", f64, std::arch::x86_64::__m256d, "avx2,fma");
    form!(
        avx512_f32,
        "AVX-512",
        f32,
        std::arch::x86_64::__m512,
        "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"
    );
    form!(
        avx512_f64,
        "AVX-512",
        f64,
        std::arch::x86_64::__m512d,
        "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"
    );

    pub fn has_avx2() -> bool {
        is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
    }

    pub fn has_avx512() -> bool {
        has_avx2()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
    }
}

macro_rules! available {
    ($available:ident, $T:ident, $avx512:ident, $avx2:ident, $portable:ident) => {
        /// The fastest first.
        pub(super) fn $available() -> Vec<&'static Kernels<$T>> {
            let mut forms: Vec<&'static Kernels<$T>> = Vec::new();
            #[cfg(target_arch = "x86_64")]
            {
                if x86::has_avx512() {
                    forms.push(&x86::$avx512::KERNELS);
                }
                if x86::has_avx2() {
                    forms.push(&x86::$avx2::KERNELS);
                }
            }
            forms.push(&$portable::KERNELS);
            forms
        }
    };
}

available!(available_f32, f32, avx512_f32, avx2_f32, portable_f32);
available!(available_f64, f64, avx512_f64, avx2_f64, portable_f64);
