// SPDX-License-Identifier: Apache-2.0
//! The carrier over real loopback sockets, with a small conversation of its own.

mod evidence;
mod hold;
mod relay;
mod support;
mod tls;
