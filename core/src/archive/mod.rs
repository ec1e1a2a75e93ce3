//! The store and the stored form.
//!
//! ```text
//! STORE/shipshape-store.json                        format version, store id
//! STORE/HOST/APP/packs/ID-0001.tar.zst.age          immutable; shared by the snapshots of this HOST/APP
//! STORE/HOST/APP/snapshots/ID/files.index.zst.age   every file of this snapshot, in path order
//!                             config.tar.zst.age    single files such as .env
//!                             database-app.tar.zst.age
//!                             manifest.json         written last: a snapshot exists if and only if this does
//! ```
//!
//! Writing goes `tarball` → [`seal`] (compress, encrypt, count, hash) → [`store`]; reading goes the same way back
//! through [`unseal`]. [`manifest`] says what belongs together, [`index`] what is inside, [`catalog`] what there is.

pub mod catalog;
pub mod entry;
mod frames;
#[cfg(test)]
mod fuzz;
pub mod index;
pub mod keys;
pub mod manifest;
pub mod names;
pub mod opening;
pub mod patterns;
pub mod seal;
pub mod store;
pub mod tarball;
pub mod unseal;
