# Copyright: (c) 2026, the tazlab.bootstrap contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: proxmox_vm
short_description: Create and start, or remove, the VMs of a Talos cluster on Proxmox VE
version_added: 0.1.0
author:
  - tazlab.bootstrap contributors (@tazlab)
description:
  - Makes a list of VMs run, each created from a disk image or with an ISO on an empty disk, or removes them.
  - Everything is checked for all VMs first - vmids, names, addresses, nodes, storages, bridges, the image. What is
    wrong is reported together, and nothing is changed.
  - A VM that this module creates carries the tag C(tazlab-<cluster>) as ownership mark. A VM without it is never
    touched; if its vmid is in the list, the error names it.
  - A VM that exists is not updated. How it differs is returned as C(drift) and shown as a warning.
  - A task that fails on the node is reported at once, with the end of its log. Only a lock that somebody else holds on
    a storage or a VM is waited out, for half a minute.
  - The VM is the baseline for Talos - machine C(q35), CPU C(host), C(virtio-scsi-pci), no ballooning, a virtio NIC, a
    serial socket, and a cloud-init drive that gives the node its address without DHCP.
  - What another run, or one that was killed, has begun on a VM of the list is waited for, as long as Proxmox VE works
    on it. A lock that stays for half a minute with neither a task nor a change is reported as a remnant, with the next
    step; a task on its node that names no VM, such as a backup of several, may be what holds it. A token without
    C(Sys.Audit) on the node does not see the tasks of others; then O(task_timeout) is waited.
  - What a run that was killed left half made is completed by the next. Until the last step of the making the VM's notes
    say so; a setting that an owner changes is not a sign of it. Its disk only grows. No VM is deleted to be made anew.
  - Result and arguments are hidden, as the token is among them; C(--diff) shows the differences all the same.
extends_documentation_fragment:
  - tazlab.bootstrap.proxmox
  - tazlab.bootstrap.proxmox.action
attributes:
  check_mode:
    description: Reads and checks for real, changes nothing. The image may be one that is still to be fetched.
    support: full
  diff_mode:
    description: Shows for each VM that changes what it is and what it will be.
    support: full
  idempotent:
    description: A VM that runs is left as it is.
    support: full
options:
  cluster:
    description: The cluster's name. The tag C(tazlab-<cluster>) marks its VMs.
    type: str
    required: true
  vms:
    description: The VMs.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The VM's and the node's name.
        type: str
        required: true
      vmid:
        description: The VM's id, 100 to 999999999. It is never chosen for you.
        type: int
        required: true
      node:
        description: The Proxmox node on which it is created. A VM that was moved later is found where it is.
        type: str
        required: true
      cores:
        description: The number of CPU cores.
        type: int
        default: 2
      memory:
        description: The memory in MiB.
        type: int
        default: 2048
      disk:
        description: The disk's size in GiB. A disk that is larger already stays so.
        type: int
        default: 10
      address:
        description: The IPv4 address. Without it the node asks DHCP.
        type: str
      prefix:
        description: The length of the network's prefix in bits.
        type: int
        default: 24
      gateway:
        description: The gateway's IPv4 address, in the network of O(vms[].address).
        type: str
      nameservers:
        description: IP addresses of DNS servers. Without any, the Proxmox node's own are taken.
        type: list
        elements: str
        default: []
      bridge:
        description: The bridge of the VM's NIC, where it is not O(bridge).
        type: str
      mac:
        description: The NIC's hardware address, such as V(BC:24:11:00:00:01). Without it Proxmox VE chooses one.
        type: str
      role:
        description: What the node is. It stands in the VM's notes.
        type: str
        choices: [control_plane, worker]
      install_disk:
        description: On which disk Talos is installed. It is not used here, and a machine of the inventory has it.
        type: str
  state:
    description:
      - V(present) - the VMs exist and run.
      - V(absent) - the VMs are stopped and removed, with the disks that belong to them. Backup jobs and others that
        name them are left as they are, see O(purge).
    type: str
    choices: [present, absent]
    default: present
  storage:
    description: The storage of the disks. It must take content C(images). Needed for O(state=present).
    type: str
  image:
    description:
      - The volume from which each disk is imported, such as V(local:import/talos.qcow2), on every node of O(vms).
      - One of O(image) and O(iso) is needed where a VM is created, except in check mode.
    type: str
  iso:
    description: The ISO image from which a VM with an empty disk boots, such as V(local:iso/nocloud-amd64.iso).
    type: str
  pool:
    description:
      - The resource pool that new VMs join. A token that is limited to a pool needs it.
    type: str
  bridge:
    description: The bridge of the VMs' NICs.
    type: str
    default: vmbr0
  agent:
    description: Whether the QEMU guest agent is used. Talos needs the extension C(qemu-guest-agent) for it.
    type: bool
    default: false
  adopt:
    description:
      - Take over VMs that others made, with O(state=present) - the mark of O(cluster) is added to their tags, and
        nothing else of them is changed. None is made, started or stopped.
      - Each must have the name of the list. A VM that carries the mark of another cluster is refused, and so are all
        where a marked one does not stand in the list, since another cluster may have the same name.
    type: bool
    default: false
  reborn:
    description:
      - In check mode, tell what would be made as if the VMs of O(cluster) that stand in the list had been removed
        already. Otherwise it has no meaning.
    type: bool
    default: false
  purge:
    description:
      - Whether O(state=absent) takes the VMs out of the backup jobs, the replication jobs and the HA resources that
        name them. A backup job that names no other VM is removed by this, and so is a replication job.
      - Without it these stay, and hold for a new VM with the same vmid. Proxmox VE does not remove a VM that HA manages
        or that is replicated; that is told before anything is stopped.
      - Out of its pool, and out of permissions given on its own path, Proxmox VE takes a removed VM in any case.
    type: bool
    default: false
  task_timeout:
    description: Seconds for each task on a node, such as an import or a start, and to wait for what others do.
    type: int
    default: 1800
seealso:
  - module: tazlab.bootstrap.proxmox_image
  - module: tazlab.bootstrap.proxmox_preflight
"""

EXAMPLES = r"""
- name: VMs run
  tazlab.bootstrap.proxmox_vm:
    url: https://pve.example.net:8006
    token_id: "{{ proxmox_token_id }}"
    token_secret: "{{ proxmox_token_secret }}"
    cluster: home
    storage: local-lvm
    image: "{{ image.volid }}"
    vms:
      - name: cp-1
        vmid: 1011
        node: pve
        cores: 2
        memory: 4096
        disk: 32
        address: 192.0.2.11
        gateway: 192.0.2.1
        role: control_plane

- name: VMs are gone
  tazlab.bootstrap.proxmox_vm:
    url: https://pve.example.net:8006
    token_id: "{{ proxmox_token_id }}"
    token_secret: "{{ proxmox_token_secret }}"
    cluster: home
    state: absent
    vms:
      - name: cp-1
        vmid: 1011
        node: pve

- name: VMs are gone for ever, out of every backup job
  tazlab.bootstrap.proxmox_vm:
    url: https://pve.example.net:8006
    token_id: "{{ proxmox_token_id }}"
    token_secret: "{{ proxmox_token_secret }}"
    cluster: home
    state: absent
    purge: true
    vms:
      - name: cp-1
        vmid: 1011
        node: pve
"""

RETURN = r"""
vms:
  description: The VMs in the order of the option.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The wanted name.
      type: str
      sample: cp-1
    vmid:
      description: The id.
      type: int
      sample: 1011
    node:
      description: The node on which it stands, or will stand.
      type: str
      sample: pve
    status:
      description: Its state in the end, in check mode its state now.
      type: str
      sample: running
    changed:
      description: Whether anything was done with it, in check mode would be.
      type: bool
    actions:
      description: What was done, in check mode would be. Any of stop, delete, create, complete, start.
      type: list
      elements: str
      sample: [create, start]
    drift:
      description: How it differs from what is wanted, now or after its next start.
      type: list
      elements: dict
      contains:
        setting:
          description: What differs.
          type: str
          sample: memory
        wanted:
          description: What is wanted.
          type: str
          sample: "4096"
        found:
          description: What was found.
          type: str
          sample: "2048"
    jobs:
      description:
        - For O(state=absent), what names the VM by its id. Backup jobs need C(Sys.Audit) on C(/) to be seen; without it
          a warning says so.
      type: list
      elements: dict
      contains:
        kind:
          description: One of backup, exclusion (the VM is left out of that backup job), pool, replication, ha.
          type: str
          sample: backup
        name:
          description: The name of the job, of the pool or of the HA resource.
          type: str
          sample: backup-8f5d3c1e-77a1
        effect:
          description: What becomes of it. One of stays, taken_out (the vmid is), removed (the job itself is).
          type: str
          sample: stays
        text:
          description: The same for people.
          type: str
          sample: stays in backup job backup-8f5d3c1e-77a1 (nightly)
unlisted:
  description: VMs with this cluster's mark that O(vms) does not name, each with name, vmid, node and status.
  returned: success
  type: list
  elements: dict
"""
