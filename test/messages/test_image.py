# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Images to frames: encodings, sizes, reductions, and pictures that cannot be used."""

import zlib

import cv2
import numpy as np
import pytest

from geo_pose_ros.errors import FrameError
from geo_pose_ros.messages.image import (
    ENCODINGS,
    compressed_from_frame,
    compressed_size,
    depth_from_message,
    frame_from_message,
    reduction_for,
)
from geo_pose_ros.messages.jpeg.damage import find_damage
from geo_pose_ros.messages.stamps import to_header
from geo_pose_ros.types import Frame

from ..scenes import depth_image, intrinsics

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
STAMP_NS = 1_700_000_000_000_000_001
BGR = (200, 100, 40)
DEPTHS = np.array(((1.5, 0.0, 2.25), (3.0, 4.0, 5.0)))
NOISE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


def smooth_image(height: int = 48, width: int = 64) -> np.ndarray:
    """A picture that survives JPEG: a gradient of another slope per channel."""
    v, u = np.mgrid[:height, :width]
    return np.stack([2 * u, 2 * v, u + v], -1).astype(np.uint8)


def raw(library, pixels: np.ndarray, encoding: str, **changes):
    height, width = pixels.shape[:2]
    fields = {
        'header': to_header(library.make, STAMP_NS, 'f'), 'height': height, 'width': width, 'encoding': encoding,
        'step': pixels.nbytes // height, 'data': np.frombuffer(pixels.tobytes(), np.uint8),
    }
    return library.make(IMAGE, **{**fields, **changes})


def compressed(library, data: bytes, description: str = 'bgr8; jpeg compressed bgr8'):
    return library.make(
        COMPRESSED, header=to_header(library.make, STAMP_NS, 'f'), format=description,
        data=np.frombuffer(data, np.uint8),
    )


def jpeg(image: np.ndarray, *options: int) -> bytes:
    return cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 95, *options])[1].tobytes()


def uniform(encoding: str) -> np.ndarray:
    """A 4x6 picture of the colour BGR (grey 100 for mono), as a driver sends it in ``encoding``."""
    b, g, r = BGR
    deep = encoding.endswith('16')
    if encoding.startswith('bayer'):
        order = encoding.removeprefix('bayer_').removesuffix('16' if deep else '8')
        tile = np.array([{'r': r, 'g': g, 'b': b}[c] for c in order], np.uint8).reshape(2, 2)
        return deepen(np.tile(tile, (2, 3))) if deep else np.tile(tile, (2, 3))
    # BT.601 limited range of the colour.
    y, u, v = 16 + 0.257 * r + 0.504 * g + 0.098 * b, 128 - 0.148 * r - 0.291 * g + 0.439 * b, (
        128 + 0.439 * r - 0.368 * g - 0.071 * b
    )
    if encoding in ('uyvy', 'yuv422', 'yuyv', 'yuv422_yuy2'):
        pair = (u, y, v, y) if encoding in ('uyvy', 'yuv422') else (y, u, y, v)
        return np.tile(np.array(pair).round().astype(np.uint8).reshape(1, 2, 2), (4, 3, 1))
    if encoding in ('nv12', 'nv21'):
        chroma = (u, v) if encoding == 'nv12' else (v, u)
        return np.vstack([np.full((4, 6), y), np.tile(chroma, (2, 3))]).round().astype(np.uint8)
    pixel = {
        'bgr': (b, g, r), 'rgb': (r, g, b), 'bgra': (b, g, r, 255), 'rgba': (r, g, b, 255), 'mono': (100,),
        '8uc1': (100,), '8uc3': (b, g, r), '8uc4': (b, g, r, 255),
    }[encoding if 'uc' in encoding else encoding.rstrip('1568')]
    flat = np.tile(np.array(pixel, np.uint8), (4, 6, 1)).squeeze()
    return deepen(flat) if deep else flat


def deepen(pixels: np.ndarray) -> np.ndarray:
    """The same picture in 16 bits; its low bytes are noise, and one pixel shows that all bits are in use."""
    deep = pixels.astype('<u2') * 256 + np.arange(pixels.size).reshape(pixels.shape) % 256
    deep.flat[-1] |= 0x8000 if pixels.ndim < 3 else 0
    return deep.astype('<u2')


@pytest.mark.parametrize('encoding', ENCODINGS)
def test_every_encoding_gives_its_colour(library, encoding):
    pixels = uniform(encoding)
    changes = {'height': 4} if encoding in ('nv12', 'nv21') else {}
    message = raw(library, pixels, encoding, **changes)
    message.step = pixels.nbytes // len(pixels)
    frame = frame_from_message(library.wire(message, IMAGE), 'left')
    assert (frame.camera, frame.stamp_ns, frame.reduction, frame.image.shape) == ('left', STAMP_NS, 1, (4, 6, 3))
    expected = (100, 100, 100) if encoding.startswith('mono') or encoding == '8uc1' else BGR
    # YUV quantises; the last pixel of 16 bits is white (deepen).
    yuv = 'y' in encoding.replace('bayer', '') or encoding.startswith(('nv', 'yuv'))
    shown = frame.image[:2, :4] if encoding.endswith('16') else frame.image
    assert np.abs(shown.astype(int) - expected).max() <= (2 if yuv else 0)


@pytest.mark.parametrize('bits', [10, 12, 14, 16])
@pytest.mark.parametrize('big_endian', [False, True])
def test_the_bits_in_use_are_shown(library, bits, big_endian):
    """A 12-bit camera in mono16 fills the low bits; its high byte is nearly black."""
    pixels = np.array([[(200 << bits) >> 8, (100 << bits) >> 8, (1 << bits) - 1]], '>u2' if big_endian else '<u2')
    frame = frame_from_message(raw(library, pixels, 'mono16', is_bigendian=int(big_endian)), 'left')
    assert frame.image[0, :, 0].tolist() == [200, 100, 255]


def test_a_picture_opencv_cannot_convert_is_refused(library, monkeypatch):
    def fail(*_):
        raise cv2.error('no')

    monkeypatch.setattr(cv2, 'cvtColor', fail)
    with pytest.raises(FrameError, match="Camera 'left': OpenCV cannot convert 64x48 rgb8"):
        frame_from_message(raw(library, smooth_image(), 'rgb8'), 'left')


def test_padded_rows(library):
    image = smooth_image(5, 7)
    padded = np.zeros((5, 32), np.uint8)
    padded[:, :21] = image.reshape(5, 21)
    message = raw(library, image, 'bgr8', step=32, data=padded.ravel())
    np.testing.assert_array_equal(frame_from_message(message, 'left').image, image)


@pytest.mark.parametrize(
    ('shape', 'encoding', 'changes', 'reason'),
    [
        ((48, 64, 3), '32FC3', {}, "unknown image encoding '32FC3'; supported: bgr8, bgr16, "),
        *(((48, 64, 3), encoding, {}, rf"its images hold depth \('{encoding}'\), which shows no people to a detector")
          for encoding in ('16UC1', '32FC1')),
        *(((48, 64, 3), 'bgr8', changes, r'received \d+ bytes with step \d+ for .* bgr8, expected')
          for changes in ({'step': 100}, {'data': np.zeros(100, np.uint8)}, {'height': 0}, {'width': 0})),
        ((4, 5, 2), 'yuyv', {}, 'received 5x4 yuyv, whose colour is of'),
        ((6, 5), 'nv12', {'height': 4}, 'received 5x4 nv12, whose colour is of'),
        ((4, 6), 'nv21', {'height': 3, 'step': 6}, 'received 6x3 nv21, whose colour is of'),
        ((1, 51_000_000), 'mono8', {}, 'an image of 51000000x1 px, expected at most 50000000 px'),
    ],
    ids=['encoding', 'depth 16', 'depth 32', 'step', 'data', 'height', 'width', 'yuyv', 'nv12', 'nv21', 'large'],
)
def test_raw_images_that_cannot_be_used(library, shape, encoding, changes, reason):
    message = raw(library, np.zeros(shape, np.uint8), encoding, **changes)
    with pytest.raises(FrameError, match=f"Camera 'left': {reason}"):
        frame_from_message(message, 'left')


def png(image: np.ndarray) -> bytes:
    return cv2.imencode('.png', image)[1].tobytes()


def test_damage_of_any_byte_of_a_header_costs_nothing():
    """One changed byte made a PNG of 9 kB take 4 GB."""
    data = png(NOISE)
    for at, value in ((16, 0x7F), (17, 0x7F), (20, 0x7F), (11, 14), (12, 0), (24, 3), (25, 5), (33, 0x7F), (60, 0xFF)):
        broken = bytearray(data)
        broken[at] = value
        with pytest.raises(FrameError, match=r'corrupt PNG of \d+ bytes \(its header or a checksum is wrong\)'):
            compressed_size(bytes(broken), 'left')
    photo = bytearray(jpeg(smooth_image()))
    size_at = photo.index(b'\xff\xc0') + 5
    # Beyond what Pillow opens, and below.
    for side, reason in ((b'\xff\xff', 'its header'), (b'\x20\x00', 'they cannot hold 8192x8192 px')):
        photo[size_at : size_at + 4] = side + side
        with pytest.raises(FrameError, match=rf'corrupt JPEG of \d+ bytes \({reason}'):
            compressed_size(bytes(photo), 'left')


def test_flat_images_are_no_bombs(library):
    """What compresses best is still decoded."""
    flat = np.zeros((2000, 3000, 3), np.uint8)
    for data in (png(flat), jpeg(flat), jpeg(flat, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)):
        assert frame_from_message(compressed(library, data), 'left').image.shape == flat.shape


def test_size_must_be_that_of_camera_info(library):
    lens = intrinsics()  # 1280 x 960
    match = r"Camera 'left': its images are 64x48 px, its calibration is of 1280x960\. Calibrate"
    with pytest.raises(FrameError, match=match):
        frame_from_message(raw(library, smooth_image(), 'bgr8'), 'left', lens)
    with pytest.raises(FrameError, match=match):
        frame_from_message(compressed(library, jpeg(smooth_image())), 'left', lens)
    assert frame_from_message(raw(library, smooth_image(960, 1280), 'bgr8'), 'left', lens).reduction == 1
    notes = []
    for message in (raw(library, smooth_image(952, 1280), 'bgr8'), compressed(library, jpeg(smooth_image(952, 1280)))):
        assert frame_from_message(message, 'left', lens, note=notes.append).image.shape == (952, 1280, 3)
    assert notes == 2 * [
        "Camera 'left': its images are 1280x952 px, its calibration is of 1280x960; taken as a crop at the right and "
        'bottom.'
    ]


@pytest.mark.parametrize(
    ('size', 'max_side', 'expected'),
    [((1920, 1080), 0, 1), ((1920, 1080), 1920, 1), ((1920, 1080), 960, 2), ((1080, 1920), 959, 4), ((64, 48), 9, 8),
     ((9999, 10), 100, 8), ((1921, 10), 960, 4), ((641, 480), 321, 2)],
)  # fmt: skip
def test_reduction(size, max_side, expected):
    assert reduction_for(*size, max_side) == expected


@pytest.mark.parametrize('kind', ['raw', 'jpeg', 'png'])
@pytest.mark.parametrize('shape', [(48, 64), (50, 67)])
def test_reduced_frames_keep_the_pixel_grid(library, kind, shape):
    """A reduced pixel at xy shows the colour of ``to_raw(xy)``: on a gradient, its value says where it came from."""
    image = smooth_image(*shape)
    message = {
        'raw': lambda: raw(library, image, 'bgr8'),
        'jpeg': lambda: compressed(library, jpeg(image)),
        'png': lambda: compressed(library, png(image), 'bgr8; png compressed bgr8'),
    }[kind]()
    frame = frame_from_message(message, 'left', None, max_side_px=34)
    assert frame.reduction == 2 and frame.image.shape[1] in (shape[1] // 2, -(-shape[1] // 2))
    v, u = np.mgrid[2:20, 2:28]
    raw_xy = frame.to_raw(np.stack([u, v], -1).astype(float))
    shown = frame.image[2:20, 2:28].astype(float)
    expected = np.stack([2 * raw_xy[..., 0], 2 * raw_xy[..., 1], raw_xy.sum(-1)], -1)
    # Half a pixel off would be 1 to 2 grey levels in the mean.
    assert np.abs((shown - expected).mean((0, 1))).max() < 0.6
    with pytest.raises(FrameError, match='64x1 px cannot be reduced 2 times'):
        frame_from_message(raw(library, smooth_image(1, 64), 'bgr8'), 'left', None, 32)


@pytest.mark.parametrize('options', [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 2)])
def test_jpeg_size_and_round_trip(library, options):
    image = smooth_image(37, 53)
    data = jpeg(image, *options)
    assert compressed_size(data, 'left') == (53, 37)
    frame = frame_from_message(library.wire(compressed(library, data), COMPRESSED), 'left')
    assert np.abs(frame.image.astype(int) - image).mean() < 2.0
    message = library.wire(compressed_from_frame(library.make, frame, 'f', 95), COMPRESSED)
    assert (message.format, message.header.frame_id) == ('bgr8; jpeg compressed bgr8', 'f')
    back = frame_from_message(message, 'left')
    assert back.stamp_ns == STAMP_NS
    assert np.abs(back.image.astype(int) - image).mean() < 2.0


@pytest.mark.parametrize('options', [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)], ids=['baseline', 'progressive'])
def test_truncated_jpeg(library, options):
    data = jpeg(NOISE, *options)
    for fraction in (0.02, 0.3, 0.9, 0.999):
        cut = data[: int(len(data) * fraction)]
        with pytest.raises(FrameError, match=rf"Camera 'left': truncated JPEG of {len(cut)} bytes"):
            frame_from_message(compressed(library, cut), 'left')
    for length in range(0, len(data) - 1, 7):
        with pytest.raises(FrameError):
            compressed_size(data[:length], 'left')


def test_damaged_jpeg(library):
    data = jpeg(NOISE)
    with pytest.raises(FrameError, match='a second image starts inside it'):
        compressed_size(data[: len(data) // 2] + data, 'left')
    broken = bytearray(data)
    broken[20] = 0
    with pytest.raises(FrameError, match=r'OpenCV cannot decode .* is corrupt'):
        frame_from_message(compressed(library, bytes(broken)), 'left')


def changed(data, at, size, by=None):
    """Return ``data`` with ``size`` bytes from ``at`` overwritten by ``by``; None: without them."""
    return data[:at] + (b'' if by is None else by * size) + data[at + size :]


@pytest.mark.parametrize('options', [
    pytest.param((), id='baseline'), pytest.param((cv2.IMWRITE_JPEG_RST_INTERVAL, 4), id='restarts'),
    pytest.param((cv2.IMWRITE_JPEG_OPTIMIZE, 1), id='tables of its own'),
])
def test_a_jpeg_that_is_damaged_inside_is_named_and_no_line_is_printed(library, capfd, options):
    image = np.random.default_rng(0).integers(0, 255, (120, 168, 3), np.uint8)
    data = jpeg(image, *options)
    middle = len(data) // 2
    damaged = [changed(data, middle, 300), changed(data, middle, 40, b'\x5a'), changed(data, middle, 300, b'\x00')]
    for broken in damaged:
        with pytest.raises(FrameError, match=rf"Camera 'left': corrupt JPEG of {len(broken)} bytes \(.*it is not used"):
            frame_from_message(compressed(library, broken), 'left')
    # Drivers of USB cameras leave bytes before the end.
    whole = frame_from_message(compressed(library, data), 'left').image
    for stray in (b'\x00', b'\x12\x34', b'\x00' * 300, b'\xff' * 7):
        padded = data[:-2] + stray + data[-2:]
        np.testing.assert_array_equal(frame_from_message(compressed(library, padded), 'left').image, whole)
    assert capfd.readouterr().err == ''


@pytest.mark.parametrize('size', [(8, 8), (37, 53), (64, 1)], ids=str)
@pytest.mark.parametrize('channels', [1, 3], ids=['grey', 'colour'])
@pytest.mark.parametrize('quality', [5, 60, 100])
def test_no_whole_jpeg_is_taken_for_a_damaged_one(size, channels, quality):
    image = np.random.default_rng(1).integers(0, 255, (*size, channels), np.uint8)
    for restarts in (0, 1, 3):
        options = (cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_RST_INTERVAL, restarts)
        assert find_damage(np.frombuffer(jpeg(image, *options), np.uint8)) == ('', 0)


def test_exif_orientation_is_ignored(library):
    """Calibration is of the sensor's rows and columns."""
    data = jpeg(smooth_image(48, 64))
    tiff = b'II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00'
    exif = b'Exif\x00\x00' + tiff
    rotated = data[:2] + b'\xff\xe1' + (len(exif) + 2).to_bytes(2, 'big') + exif + data[2:]
    assert cv2.imdecode(np.frombuffer(rotated, np.uint8), cv2.IMREAD_COLOR).shape == (64, 48, 3)
    assert frame_from_message(compressed(library, rotated), 'left').image.shape == (48, 64, 3)


def test_truncated_and_undecodable_png(library):
    data = png(smooth_image())
    assert compressed_size(data, 'left') == (64, 48)
    for cut in (data[:-20], data[:20]):
        with pytest.raises(FrameError, match='truncated PNG'):
            compressed_size(cut, 'left')
    # Right sums over wrong data.
    body = b'IDAT' + b'\xff' * 40
    wrong = data[:33] + (40).to_bytes(4, 'big') + body + zlib.crc32(body).to_bytes(4, 'big') + data[-12:]
    with pytest.raises(FrameError, match='OpenCV cannot decode'):
        frame_from_message(compressed(library, wrong, 'bgr8; png compressed bgr8'), 'left')


@pytest.mark.parametrize(
    ('data', 'description', 'reason'),
    [
        (b'', 'jpeg', r'expected a JPEG \(ffd8\) or PNG'), (b'GIF89a....', 'jpeg', r'expected a JPEG \(ffd8\) or PNG'),
        (b'', '16UC1; compressedDepth png', 'does not hold a colour or grey image'),
        (b'', 'bayer_rggb8; jpeg compressed ', 'does not hold a colour or grey image'),
    ],
    ids=['empty', 'gif', 'depth', 'bayer'],
)
def test_formats_that_are_no_image(library, data, description, reason):
    with pytest.raises(FrameError, match=reason):
        frame_from_message(compressed(library, data, description), 'left')


def test_image_too_large_for_jpeg(library):
    with pytest.raises(FrameError, match=r"Camera 'left': OpenCV could not encode a \(1, 70000, 3\) image"):
        compressed_from_frame(library.make, Frame('left', 0, np.zeros((1, 70000, 3), np.uint8)), 'f')


@pytest.mark.parametrize('given', [
    ('16UC1', '<u2', 1000.0), ('16UC1', '>u2', 1000.0), ('mono16', '<u2', 1000.0), ('32FC1', '<f4', 1.0),
    ('32FC1', '>f4', 1.0), ('32FC1', '<f4', 1.0, 8),
], ids=str)
def test_depths_are_millimetres_or_metres(library, given):
    np.testing.assert_allclose(depth_from_message(depth_image(library.make, DEPTHS, *given), 'cam'), DEPTHS, atol=1e-6)


@pytest.mark.parametrize(('fields', 'words'), [
    ({'encoding': 'bgr8'}, "received depth images of encoding 'bgr8', expected 16UC1"),
    ({'data': np.zeros(5, np.uint8)}, 'received 5 bytes with step 6 for 3x2 depths'),
    ({'step': 5}, 'step 5 for 3x2'),
])
def test_what_is_no_depth_image_is_refused(library, fields, words):
    with pytest.raises(FrameError, match=words):
        depth_from_message(depth_image(library.make, DEPTHS, **fields), 'cam')
