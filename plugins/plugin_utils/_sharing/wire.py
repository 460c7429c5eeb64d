# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What callers and the broker of a run say to each other. Private.

caller: key (32 bytes), bound (float, seconds)
broker: L (fetch it yourself and deliver), or O, length, outcome
leader: length, outcome;  the broker answers with O, length and the outcome that counts
"""

from __future__ import annotations

import socket
import struct
import sys

HELLO = struct.Struct("!32sd")
LENGTH = struct.Struct("!I")
LEAD = b"L"
OUTCOME = b"O"
LIMIT = 16 * 1024 * 1024
# How long a leader may take beyond its own bound, to load hvac on a busy machine. One that ends is missed at once.
GRACE = 30.0


def peer_uid(connection: socket.socket) -> int:
    """The user at the other end, as the kernel knows it; -1 where it does not say."""
    if hasattr(socket, "SO_PEERCRED"):
        _pid, uid, _gid = struct.unpack(
            "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        )
        return int(uid)
    if sys.platform == "darwin":  # LOCAL_PEERCRED gives a struct xucred: version, uid, groups
        _version, uid = struct.unpack_from("II", connection.getsockopt(0, 1, 76))
        return int(uid)
    return -1
