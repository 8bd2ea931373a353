"""What joins the layers of one failing disc: the field `disk`."""

import pytest

import tocsin
from tests import cases
from tocsin.classify.disks import disk_of


@pytest.mark.parametrize(
    ("device", "disk"),
    [
        ("sda", "sda"),
        ("sda1", "sda"),
        ("sdaa12", "sdaa"),
        ("/dev/sdb3", "sdb"),
        ("sda1-8", "sda"),
        ("vda-8", "vda"),
        ("xvdf", "xvdf"),
        ("hda1", "hda"),
        ("dasda1", "dasda"),
        ("nvme0", "nvme0"),
        ("nvme0n1", "nvme0"),
        ("nvme10n1p2", "nvme10"),
        ("nvme0c1n1", "nvme0"),
        ("nvme0n1p2-8", "nvme0"),
        ("mmcblk0p1", "mmcblk0"),
        ("mmcblk0boot0", "mmcblk0"),
        ("md0", "md0"),
        ("md127p1", "md127"),
        ("dm-0", "dm-0"),
        ("dm-0-8", "dm-0"),
        ("cciss!c0d0p1", "cciss/c0d0"),
        ("loop3", "loop3"),
        ("sr0", "sr0"),
        ("ata1.00", "ata1"),
        ("ata3", "ata3"),
        ("unknown-block(0,0)", None),
        ("0000:01:00.0", None),
        ("rpool", None),
        ("8:16", "sdb"),
        ("8:81", "sdf"),
        ("8:255", "sdp"),
        ("65:0", "sdq"),
        ("65:160", "sdaa"),
        ("128:0", "sddy"),
        ("135:240", "sdiv"),
        ("8,17", "sdb"),
        ("8:256", None),
        ("253:4", None),
        ("8:16:3", None),
        ("", None),
        ("s", None),
    ],
)
def test_the_disc_of_a_device(device, disk):
    assert disk_of("storage.block", {"device": device}) == disk


def test_only_what_is_about_discs_has_one():
    assert disk_of("network", {"device": "sda"}) is None
    assert disk_of("filesystem", {"device": "sda2"}) == "sda"
    assert disk_of("filesystem", {}) is None
    assert disk_of("boot", {"device": "/dev/sda2"}) == "sda"
    assert disk_of("boot", {"device": "ttyS0"}) is None
    # The port stands in for a disc whose name is not told; a RAID controller's ports are its own.
    assert disk_of("storage.ata", {"port": "ata1"}) == "ata1"
    assert disk_of("storage.ata", {"port": "ata1", "device": "sda"}) == "sda"
    assert disk_of("storage.raid", {"port": 3}) is None
    assert disk_of("storage.raid", {"port": "3"}) is None


FAILURE = """\
[   10.100000] ata1.00: exception Emask 0x0 SAct 0x70 SErr 0x0 action 0x0
[   10.100001] ata1.00: failed command: READ FPDMA QUEUED
[   10.100002] ata1.00: status: { DRDY ERR }
[   10.100003] ata1.00: error: { UNC }
[   10.200000] sd 0:0:0:0: [sda] tag#4 FAILED Result: hostbyte=DID_OK driverbyte=DRIVER_OK
[   10.200001] sd 0:0:0:0: [sda] tag#4 Sense Key : Medium Error [current]
[   10.200002] ata1: EH complete
[   10.300000] blk_update_request: I/O error, dev sda, sector 4096 op 0x0:(READ) flags 0x0
[   10.400000] Buffer I/O error on dev sda1, logical block 256, async page read
[   10.500000] EXT4-fs error (device sda1): ext4_find_entry:1455: inode #2: comm ls: bad block
[   10.600000] Aborting journal on device sda1-8.
[   10.700000] EXT4-fs (sda1): Remounting filesystem read-only
[   20.100000] blk_update_request: I/O error, dev sdb, sector 8 op 0x1:(WRITE) flags 0x0
"""


def test_the_layers_of_one_failure_have_one_disc():
    incidents = tocsin.scan(FAILURE.encode())
    disks = [(i.kind, i.fields["disk"]) for i in incidents]
    assert [disk for _, disk in disks].count("sda") == len(disks) - 1 >= 5
    assert disks[-1] == ("storage.block", "sdb")
    assert {"storage.ata", "storage.block", "filesystem"} <= {kind for kind, _ in disks}
    # The report that knows both names joins those that know only one.
    assert incidents[0].fields["port"] == "ata1"


@pytest.mark.parametrize(
    ("what", "disk"),
    [
        ("disk/a-virtio-disk-cannot-read-on-6.1", "vda"),
        ("disk/an-nvme-disk-cannot-write", "nvme0"),
        ("filesystem/an-ext4-journal-aborts-on-6.1", "vda"),
        ("filesystem/ext4-loses-all-writes", "vda"),
        ("lab/a-disk-is-unplugged-under-ext4", "vda"),
    ],
)
def test_a_failure_in_the_lab_is_of_one_disc(what, disk):
    incidents, _ = cases.Case(cases.CORPUS / f"{what}.log").scan()
    assert len(incidents) > 1
    assert {i.fields.get("disk") for i in incidents} == {disk}
