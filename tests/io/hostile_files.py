"""Hostile files by structure: what each is, how it is made, and the right answer, which was written down first.

Every builder takes a folder in which ``secret.raw`` lies, a file that no image may show, and returns what is opened.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

MARK = 0x5345  # the uint16 that the secret file consists of
READ, REFUSED, EITHER = "read", "refused", "either"
Builder = Callable[[Path], Path]
FILES: dict[str, tuple[str, Builder]] = {}


def right(answer: str) -> Callable[[Builder], Builder]:
    """Register a builder with the right answer."""

    def register(build: Builder) -> Builder:
        FILES[build.__name__] = (answer, build)
        return build

    return register


def values(count: int = 3, side: int = 16) -> np.ndarray:
    return np.random.default_rng(18).integers(1, 9000, (count, side, side)).astype(np.uint16)


def plain_tif(path: Path, **more: object) -> Path:
    import rasterio

    profile = {"driver": "GTiff", "dtype": "uint16", "count": 3, "height": 16, "width": 16, **more}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(values())
    return path


def vrt_of(other: Path) -> str:
    return (
        "<VRTDataset rasterXSize='16' rasterYSize='16'><VRTRasterBand dataType='UInt16' band='1' "
        f"subClass='VRTRawRasterBand'><SourceFilename relativetoVRT='0'>{other}</SourceFilename>"
        "<ImageOffset>0</ImageOffset><PixelOffset>2</PixelOffset><LineOffset>32</LineOffset></VRTRasterBand>"
        "</VRTDataset>"
    )


# HDF5


def hdf5(path: Path, **more: object):
    import h5py

    return h5py.File(path, "w", **more)


@right(READ)
def hdf5_soft_links_in_a_ring(folder: Path) -> Path:
    import h5py

    with hdf5(folder / "a.h5") as file:
        file["cube"] = values()
        file["one"], file["two"] = h5py.SoftLink("/two"), h5py.SoftLink("/one")
    return folder / "a.h5"


@right(READ)
def hdf5_group_in_itself(folder: Path) -> Path:
    with hdf5(folder / "a.h5") as file:
        file["cube"] = values()
        group = file.create_group("g/h")
        group["again"], group["root"] = file["g"], file["/"]
    return folder / "a.h5"


@right(REFUSED)
def hdf5_with_an_unknown_filter(folder: Path) -> Path:
    import h5py

    with hdf5(folder / "a.h5") as file:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((1, 16, 16))
        plan.set_filter(40000, h5py.h5z.FLAG_OPTIONAL, (1, 2, 3))
        space = h5py.h5s.create_simple((3, 16, 16))
        made = h5py.h5d.create(file.id, b"cube", h5py.h5t.NATIVE_UINT16, space, plan)
        for band in range(3):
            made.write_direct_chunk((band, 0, 0), b"\x00" * 512, 0)
    return folder / "a.h5"


@right(REFUSED)
def hdf5_of_a_petabyte(folder: Path) -> Path:
    with hdf5(folder / "a.h5") as file:
        file.create_dataset("cube", (3, 2**24, 2**24), np.uint16, chunks=(1, 64, 64))
    return folder / "a.h5"


@right(REFUSED)
def hdf5_whose_deflate_is_a_bomb(folder: Path) -> Path:
    """Chunks that are said to be a gigabyte, of a few hundred kilobytes."""
    import h5py

    with hdf5(folder / "a.h5") as file:
        made = file.create_dataset("cube", (3, 2**15, 2**14), np.uint16, chunks=(1, 2**15, 2**14), compression="gzip")
        pack = zlib.compressobj(9)
        block = b"\0" * 2**24
        chunk = b"".join([*(pack.compress(block) for _ in range(16)), pack.flush()])
        made.id.write_direct_chunk((0, 0, 0), chunk, 0)
    assert h5py
    return folder / "a.h5"


@right(EITHER)
def hdf5_attributes_by_reference(folder: Path) -> Path:
    import h5py

    with hdf5(folder / "a.nc") as file:
        file["cube"] = values()
        file["cube"].attrs["DIMENSION_LIST"] = np.array([file["cube"].ref] * 3, dtype=h5py.ref_dtype)
        file["cube"].attrs["REFERENCE_LIST"] = file.ref
    return folder / "a.nc"


@right(REFUSED)
def mat73_external_link_behind_a_user_block(folder: Path) -> Path:
    import h5py

    with hdf5(folder / "other.h5") as other:
        other["cube"] = np.full((3, 16, 16), MARK, np.uint16)
    with hdf5(folder / "a.mat", userblock_size=2048) as file:
        file["cube"] = h5py.ExternalLink(str(folder / "other.h5"), "/cube")
    with (folder / "a.mat").open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file".ljust(124) + struct.pack("<HH", 0x0200, 0x4D49))
    return folder / "a.mat"


# NetCDF 3


def netcdf3(path: Path, version: int, dims: list[int], kind: int = 3, size: int = 4) -> Path:
    wide = ">Q" if version == 5 else ">I"

    def name(text: bytes) -> bytes:
        return struct.pack(wide, len(text)) + text + b"\0" * (-len(text) % 4)

    head = bytearray(b"CDF" + bytes([version]) + struct.pack(wide, 0))
    head += struct.pack(">I", 10) + struct.pack(wide, len(dims))
    for number, length in enumerate(dims):
        head += name(b"d%d" % number) + struct.pack(wide, length)
    head += struct.pack(">I", 0) + struct.pack(wide, 0)
    head += struct.pack(">I", 11) + struct.pack(wide, 1) + name(b"cube") + struct.pack(wide, len(dims))
    head += b"".join(struct.pack(wide, number) for number in range(len(dims)))
    head += struct.pack(">I", 0) + struct.pack(wide, 0) + struct.pack(">I", kind) + struct.pack(wide, size)
    head += struct.pack(">I" if version == 1 else ">Q", 200)
    path.write_bytes(head.ljust(200, b"\0") + b"\1" * 64)
    return path


@right(REFUSED)
def netcdf3_huge_dimensions(folder: Path) -> Path:
    return netcdf3(folder / "a.nc", 1, [2**31 - 1, 2**31 - 1, 3])


@right(REFUSED)
def netcdf5_dimensions_beyond_64_bits(folder: Path) -> Path:
    return netcdf3(folder / "a.nc", 5, [2**62, 2**62, 7])


@right(REFUSED)
def netcdf3_two_hundred_thousand_dimensions(folder: Path) -> Path:
    return netcdf3(folder / "a.nc", 1, [1] * 200_000)


# Zarr


def zarr2(store: Path, **more: object) -> Path:
    store.mkdir()
    about = {
        "zarr_format": 2, "shape": [3, 16, 16], "chunks": [3, 16, 16], "dtype": "<u2", "compressor": None,
        "fill_value": 0, "order": "C", "filters": None, **more,
    }  # fmt: skip
    (store / ".zarray").write_text(json.dumps(about))
    (store / "0.0.0").write_bytes(values().tobytes())
    return store


def zarr3(store: Path, **more: object) -> Path:
    store.mkdir()
    about = {
        "zarr_format": 3, "node_type": "array", "shape": [3, 16, 16], "data_type": "uint16", "fill_value": 0,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [3, 16, 16]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}], "attributes": {}, **more,
    }  # fmt: skip
    (store / "zarr.json").write_text(json.dumps(about))
    (store / "c" / "0" / "0").mkdir(parents=True)
    (store / "c" / "0" / "0" / "0").write_bytes(values().tobytes())
    return store


@right(REFUSED)
def zarr2_separator_that_climbs(folder: Path) -> Path:
    return zarr2(folder / "a.zarr", dimension_separator="/../../")


@right(REFUSED)
def zarr3_separator_that_climbs(folder: Path) -> Path:
    climbs = {"name": "default", "configuration": {"separator": "/../"}}
    return zarr3(folder / "a.zarr", chunk_key_encoding=climbs)


@right(REFUSED)
def zarr2_chunk_that_is_a_link_out(folder: Path) -> Path:
    store = zarr2(folder / "a.zarr")
    (store / "0.0.0").unlink()
    (store / "0.0.0").symlink_to(folder / "secret.raw")
    return store


@right(REFUSED)
def zarr3_folder_that_is_a_link_out(folder: Path) -> Path:
    store = zarr3(folder / "a.zarr")
    (folder / "elsewhere" / "0").mkdir(parents=True)
    (folder / "elsewhere" / "0" / "0").write_bytes((folder / "secret.raw").read_bytes())
    for path in sorted((store / "c" / "0").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    (store / "c" / "0").rmdir()
    (store / "c" / "0").symlink_to(folder / "elsewhere")
    return store


@right(REFUSED)
def zarr3_shards_of_huge_inner_chunks(folder: Path) -> Path:
    inner = {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": [1, 2**20, 2**20], "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
            "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}], "index_location": "end",
        },
    }  # fmt: skip
    grid = {"name": "regular", "configuration": {"chunk_shape": [3, 2**20, 2**20]}}
    return zarr3(folder / "a.zarr", codecs=[inner], chunk_grid=grid, shape=[3, 2**20, 2**20])


@right(REFUSED)
def zarr2_object_array(folder: Path) -> Path:
    return zarr2(folder / "a.zarr", dtype="|O", filters=[{"id": "pickle", "protocol": 5}])


@right(REFUSED)
def zarr2_negative_shape(folder: Path) -> Path:
    return zarr2(folder / "a.zarr", shape=[-3, 16, 16])


@right(REFUSED)
def zarr2_shape_of_words(folder: Path) -> Path:
    return zarr2(folder / "a.zarr", shape=["3", None, {"a": 1}])


@right(REFUSED)
def kerchunk_references(folder: Path) -> Path:
    about = zarr2(folder / "plain.zarr") / ".zarray"
    text = about.read_text()
    refs = {
        ".zgroup": '{"zarr_format": 2}',
        "cube/.zarray": text,
        "cube/0.0.0": [f"file://{folder}/secret.raw", 0, 1536],
    }
    (folder / "refs.json").write_text(json.dumps({"version": 1, "refs": refs}))
    return folder / "refs.json"


# TIFF


@right(EITHER)
def tiff_directories_in_a_ring(folder: Path) -> Path:
    path = plain_tif(folder / "a.tif")
    content = bytearray(path.read_bytes())
    first = struct.unpack_from("<I", content, 4)[0]
    count = struct.unpack_from("<H", content, first)[0]
    struct.pack_into("<I", content, first + 2 + 12 * count, first)
    path.write_bytes(content)
    return path


@right(READ)
def tiff_with_overviews_elsewhere(folder: Path) -> Path:
    path = plain_tif(folder / "a.tif")
    (folder / "a.tif.ovr").write_text(vrt_of(folder / "secret.raw"))
    return path


@right(EITHER)
def tiff_whose_aux_xml_names_other_files(folder: Path) -> Path:
    path = plain_tif(folder / "a.tif")
    plain_tif(folder / "other.tif")
    (folder / "a.tif.aux.xml").write_text(
        "<PAMDataset><Metadata domain='OVERVIEWS'><MDI key='OVERVIEW_FILE'>secret.raw</MDI></Metadata>"
        "<MaskBand><Source>/etc/passwd</Source></MaskBand><SRS>http://169.254.169.254/crs.wkt</SRS></PAMDataset>"
    )
    return path


@right(EITHER)
def tiff_whose_aux_xml_multiplies(folder: Path) -> Path:
    path = plain_tif(folder / "a.tif")
    (folder / "a.tif.aux.xml").write_text(bomb("PAMDataset"))
    return path


@right(EITHER)
def tiff_whose_metadata_multiplies(folder: Path) -> Path:
    import tifffile

    tifffile.imwrite(folder / "a.tif", values(), planarconfig="separate", photometric="minisblack",
                     extratags=[(42112, 2, None, bomb("GDALMetadata"), True)])  # fmt: skip
    return folder / "a.tif"


@right(REFUSED)
def tiff_of_a_hundred_thousand_tags(folder: Path) -> Path:
    items = "".join(f"<Item name='n{number}'>{number}</Item>" for number in range(100_000))
    import tifffile

    tifffile.imwrite(folder / "a.tif", values(), planarconfig="separate", photometric="minisblack",
                     extratags=[(42112, 2, None, f"<GDALMetadata>{items}</GDALMetadata>", True)])  # fmt: skip
    return folder / "a.tif"


@right(REFUSED)
def tiff_whose_aux_xml_has_a_hundred_thousand_items(folder: Path) -> Path:
    items = "".join(f"<MDI key='n{number}'>{number}</MDI>" for number in range(100_000))
    (folder / "a.tif.aux.xml").write_text(f"<PAMDataset><Metadata>{items}</Metadata></PAMDataset>")
    return plain_tif(folder / "a.tif")


@right(REFUSED)
def folder_of_bands_with_a_pipe(folder: Path) -> Path:
    (folder / "a.bands").mkdir()
    plain_tif(folder / "a.bands" / "b1.tif", count=3)
    os.mkfifo(folder / "a.bands" / "b2.tif")
    return folder / "a.bands"


def bomb(root: str) -> str:
    """XML of a kilobyte that stands for gigabytes, and asks for a file of the machine."""
    entities = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, 10))
    return (
        f"<?xml version='1.0'?><!DOCTYPE {root} [<!ENTITY e0 'lol'><!ENTITY x SYSTEM 'file:///etc/passwd'>{entities}]>"
        f"<{root}><Item name='a'>&e9;&x;</Item><SRS>&e9;</SRS></{root}>"
    )


# photographs


def png(path: Path, width: int, height: int, data: bytes, more: bytes = b"") -> Path:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


@right(REFUSED)
def png_of_two_thousand_million_pixels(folder: Path) -> Path:
    return png(folder / "a.png", 50_000, 50_000, zlib.compress(b"\0" * 10_000))


@right(EITHER)
def png_whose_text_is_a_bomb(folder: Path) -> Path:
    rows = b"".join(b"\0" + bytes(range(16)) for _ in range(16))
    content = b"Comment\0\0" + zlib.compress(b"a" * 2**26, 9)
    more = struct.pack(">I", len(content)) + b"zTXt" + content + struct.pack(">I", zlib.crc32(b"zTXt" + content))
    return png(folder / "a.png", 16, 16, zlib.compress(rows), more)


@right(REFUSED)
def webp_of_the_largest_size(folder: Path) -> Path:
    lossless = struct.pack("<B", 0x2F) + struct.pack("<I", 16382 | 16382 << 14) + b"\0" * 40
    body = b"WEBPVP8L" + struct.pack("<I", len(lossless)) + lossless
    (folder / "a.webp").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return folder / "a.webp"


@right(REFUSED)
def avif_of_nothing(folder: Path) -> Path:
    kind = struct.pack(">I", 24) + b"ftypavif" + b"\0" * 4 + b"avifmif1"
    (folder / "a.avif").write_bytes(kind + struct.pack(">I", 2**32 - 1) + b"meta" + b"\0" * 64)
    return folder / "a.avif"


# arrays


def npy(path: Path, header: str) -> Path:
    path.write_bytes(b"\x93NUMPY\x02\0" + struct.pack("<I", len(header) + 1) + header.encode() + b"\n")
    return path


@right(REFUSED)
def npy_of_a_petabyte(folder: Path) -> Path:
    return npy(folder / "a.npy", "{'descr': '<u2', 'fortran_order': False, 'shape': (3, 33554432, 33554432)}")


@right(REFUSED)
def npy_header_without_end(folder: Path) -> Path:
    return npy(folder / "a.npy", "{'descr': " + "(" * 200_000 + ")" * 200_000 + "}")


@right(REFUSED)
def npz_that_is_a_bomb(folder: Path) -> Path:
    import zipfile

    with zipfile.ZipFile(folder / "a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        header = "{'descr': '<u2', 'fortran_order': False, 'shape': (3, 32768, 32768)}\n"
        with archive.open("cube.npy", "w") as file:
            file.write(b"\x93NUMPY\x02\0" + struct.pack("<I", len(header)) + header.encode())
            for _ in range(16):
                file.write(b"\0" * 2**22)
    return folder / "a.npz"


@right(EITHER)
def npz_with_one_name_twice(folder: Path) -> Path:
    import io
    import warnings
    import zipfile

    with zipfile.ZipFile(folder / "a.npz", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for content in (values(), values() + 1):
            stream = io.BytesIO()
            np.save(stream, content)
            archive.writestr("../cube.npy", stream.getvalue())
    return folder / "a.npz"


# ENVI


def envi(folder: Path, **changed: object) -> Path:
    facts = {
        "samples": 16, "lines": 16, "bands": 3, "header offset": 0, "data type": 12, "interleave": "bsq",
        "byte order": 0, "wavelength": "{450, 550, 650}", "wavelength units": "nm", **changed,
    }  # fmt: skip
    (folder / "a.hdr").write_text("ENVI\n" + "".join(f"{key} = {value}\n" for key, value in facts.items()))
    (folder / "a.img").write_bytes(values().tobytes())
    return folder / "a.hdr"


@right(REFUSED)
def envi_of_a_petabyte(folder: Path) -> Path:
    return envi(folder, samples=2**31, lines=2**31)


@right(REFUSED)
def envi_number_beyond_any_integer(folder: Path) -> Path:
    return envi(folder, lines="9" * 5000)


@right(REFUSED)
def envi_negative_offset(folder: Path) -> Path:
    return envi(folder, **{"header offset": -512})


@right(READ)
def envi_that_names_another_data_file(folder: Path) -> Path:
    return envi(folder, **{"data file": str(folder / "secret.raw"), "data ignore value": 0})


@right(REFUSED)
def envi_whose_data_is_a_device(folder: Path) -> Path:
    path = envi(folder)
    (folder / "a.img").unlink()
    (folder / "a.img").symlink_to("/dev/zero")
    return path


@right(REFUSED)
def a_pipe_that_nobody_writes_to(folder: Path) -> Path:
    os.mkfifo(folder / "a.tif")
    return folder / "a.tif"


# documents beside or instead of images


def item(folder: Path, href: str) -> Path:
    asset = {"href": href, "type": "image/tiff; application=geotiff", "roles": ["data"], "eo:bands": [{"name": "B1"}]}
    document = {
        "type": "Feature", "stac_version": "1.0.0", "id": "a", "geometry": None, "bbox": [0, 0, 1, 1],
        "properties": {"datetime": "2026-01-01T00:00:00Z"}, "links": [], "assets": {"B1": asset},
    }  # fmt: skip
    (folder / "item.json").write_text(json.dumps(document))
    return folder / "item.json"


@right(REFUSED)
def stac_item_of_a_file_of_the_machine(folder: Path) -> Path:
    return item(folder, "file:///etc/passwd")


@right(REFUSED)
def stac_item_of_a_device(folder: Path) -> Path:
    return item(folder, "/dev/zero")


@right(REFUSED)
def stac_item_that_lies_in_its_href(folder: Path) -> Path:
    return item(folder, "/vsizip//etc/passwd\0.tif")


@right(REFUSED)
def sentinel2_document_that_multiplies(folder: Path) -> Path:
    product = folder / "S2A_MSIL2A_20260101T000000_N0500_R001_T32TQM_20260101T000000.SAFE"
    product.mkdir()
    (product / "MTD_MSIL2A.xml").write_text(bomb("n1:Level-2A_User_Product"))
    return product


@right(REFUSED)
def landsat_document_that_multiplies(folder: Path) -> Path:
    product = folder / "LC08_L2SP_190024_20260101_20260101_02_T1"
    product.mkdir()
    (product / f"{product.name}_MTL.xml").write_text(bomb("LANDSAT_METADATA_FILE"))
    plain_tif(product / f"{product.name}_SR_B2.TIF")
    return product


@right(REFUSED)
def landsat_json_nested_without_end(folder: Path) -> Path:
    product = folder / "LC08_L2SP_190024_20260101_20260101_02_T1"
    product.mkdir()
    (product / f"{product.name}_MTL.json").write_text("[" * 200_000)
    plain_tif(product / f"{product.name}_SR_B2.TIF")
    return product
