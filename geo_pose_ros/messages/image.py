# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""sensor_msgs/Image and CompressedImage -> Frame, and Frame -> CompressedImage.

Raw: RGB and BGR with or without alpha, grey and Bayer, of 8 and 16 bits; 8UC1, 8UC3 and 8UC4 (cv_bridge's names of
mono8, bgr8 and bgra8); YUV 4:2:2 packed, NV12, NV21. 16-bit images may hold 10, 12 or 14 bits. Compressed: JPEG and
PNG. They are checked before they are decoded: decoders fill what a truncated or damaged file lacks, name no camera, and
allocate any size that a damaged header gives.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from ..arrays import Float32Array, FloatArray, UInt8Array
from ..errors import CalibrationError, DepthError, FrameError
from ..types import Frame, Intrinsics
from .camera_info import fit_to_images
from .factory import Message, MessageFactory
from .stamps import stamp_of, to_header


class _Encoding(NamedTuple):
    """How an image lies in memory: rows of ``channels``, and the half rows of chroma below for ``planar``."""

    channels: int
    bytes_per_channel: int
    to_bgr: int | None
    planar: bool = False


# Names as in sensor_msgs/image_encodings.hpp; Bayer codes as cv_bridge maps them (OpenCV names the second row).
_BAYER = {
    'rggb': cv2.COLOR_BayerBG2BGR, 'bggr': cv2.COLOR_BayerRG2BGR, 'gbrg': cv2.COLOR_BayerGR2BGR,
    'grbg': cv2.COLOR_BayerGB2BGR,
}
_COLOURS: Mapping[str, tuple[int, int | None]] = {
    'bgr': (3, None), 'rgb': (3, cv2.COLOR_RGB2BGR), 'bgra': (4, cv2.COLOR_BGRA2BGR), 'rgba': (4, cv2.COLOR_RGBA2BGR),
    'mono': (1, cv2.COLOR_GRAY2BGR), **{f'bayer_{order}': (1, code) for order, code in _BAYER.items()},
}
_ENCODINGS: Mapping[str, _Encoding] = {
    **{
        f'{name}{8 * size}': _Encoding(channels, size, code)
        for name, (channels, code) in _COLOURS.items() for size in (1, 2)
    },
    # cv_bridge's names where nothing else is known.
    '8uc1': _Encoding(1, 1, cv2.COLOR_GRAY2BGR),
    '8uc3': _Encoding(3, 1, None),
    '8uc4': _Encoding(4, 1, cv2.COLOR_BGRA2BGR),
    'uyvy': _Encoding(2, 1, cv2.COLOR_YUV2BGR_UYVY),
    'yuv422': _Encoding(2, 1, cv2.COLOR_YUV2BGR_UYVY),
    'yuyv': _Encoding(2, 1, cv2.COLOR_YUV2BGR_YUY2),
    'yuv422_yuy2': _Encoding(2, 1, cv2.COLOR_YUV2BGR_YUY2),
    'nv12': _Encoding(1, 1, cv2.COLOR_YUV2BGR_NV12, planar=True),
    'nv21': _Encoding(1, 1, cv2.COLOR_YUV2BGR_NV21, planar=True),
}
ENCODINGS = tuple(_ENCODINGS)
# Encodings that cv_bridge reads alike. Not 16 bits, where it takes the highest bit for used, and not 8UC3, which is no
# colour image to it.
BRIDGED = ('bgr8', 'rgb8', 'bgra8', 'rgba8', 'mono8', *(f'bayer_{order}8' for order in _BAYER), 'yuv422', 'yuv422_yuy2')
# sensor_msgs/Image -> BGR (H, W, 3).
Converter = Callable[[Message], UInt8Array]
# Depth in m or mm, and disparity; codecs of video.
_DEPTH = re.compile(r'(16u|16s|32s|32f|64f)c1')
# Those of a depth image that are read: type of a pixel, and its unit, m.
_DEPTH_ENCODINGS = {'16uc1': ('u2', 1e-3), 'mono16': ('u2', 1e-3), '32fc1': ('f4', 1.0)}
_VIDEO = re.compile(r'h\.?26[45]|hevc|avc1|av1|vp[89]|mpeg4', re.IGNORECASE)
# The intrinsics that images must fit, None if any will do, and who gets what is to be said of it.
_Calibrated = tuple[Intrinsics | None, Callable[[str], None] | None]
# A header with more px is damaged; these take 150 MB.
_MOST_PIXELS = 50_000_000
# A block of 64 px of a JPEG takes a bit or more.
_JPEG_PIXELS_PER_BYTE = 512
_STARTS = {'JPEG': b'\xff\xd8', 'PNG': b'\x89PNG\r\n\x1a\n'}
_ENDS = {'JPEG': b'\xff\xd9', 'PNG': b'IEND'}
_SOI, _EOI = 0xD8, 0xD9
_REDUCED_DECODE = {
    1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4, 8: cv2.IMREAD_REDUCED_COLOR_8,
}


def frame_from_message(
    message: Message, camera: str, intrinsics: Intrinsics | None = None, max_side_px: int = 0,
    bridge: Converter | None = None, note: Callable[[str], None] | None = None,
) -> Frame:
    """Return the frame of an Image or CompressedImage of ``camera``.

    ``intrinsics``, if given, must fit this image size (``fit_to_images``, whose words ``note`` gets); ``bridge``, if
    given, converts raw images of the encodings BRIDGED. The frame is made smaller by 2, 4 or 8 until its longer side is
    at most ``max_side_px`` (0: never); JPEGs are decoded smaller, which takes less time.

    Raises:
        FrameError: if the image cannot be used; says why.
    """
    if hasattr(message, 'encoding'):
        image, reduction = _decode_raw(message, camera, (intrinsics, note), max_side_px, bridge)
    else:
        image, reduction = _decode_compressed(message, camera, (intrinsics, note), max_side_px)
    return Frame(camera, stamp_of(message), image, reduction)


def depth_from_message(message: Message, camera: str) -> Float32Array:
    """Return (H, W) m, the depths of an Image, 0 or NaN where not measured; raise FrameError if it has none."""
    name = str(getattr(message, 'encoding', ''))
    if name.lower() not in _DEPTH_ENCODINGS:
        raise FrameError(
            f"Camera '{camera}': received depth images of encoding '{name}', expected 16UC1 (mm) or 32FC1 (m). Name "
            'the raw topic of its registered depth.'
        )
    (kind, unit_m), order = _DEPTH_ENCODINGS[name.lower()], '>' if message.is_bigendian else '<'
    width, size = int(message.width), int(kind[1])
    pixels = _rows_of_image(message, camera, 'depths', width * size, int(message.height), size)
    rows = pixels.view(order + kind)[:, :width]
    return np.asarray(rows * np.float32(unit_m), np.float32)


def reduction_for(width: int, height: int, max_side_px: int) -> int:
    """Return the smallest of 1, 2, 4, 8 that brings the longer side to ``max_side_px`` (0: 1), else 8."""
    side = max(width, height)
    fits = [factor for factor in _REDUCED_DECODE if max_side_px <= 0 or -(-side // factor) <= max_side_px]
    return fits[0] if fits else 8


def compressed_from_frame(make: MessageFactory, frame: Frame, frame_id: str, jpeg_quality: int = 90) -> Message:
    """Return ``frame`` as a JPEG CompressedImage."""
    try:
        ok, encoded = cv2.imencode('.jpg', frame.image, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality])
    except cv2.error:
        ok = False
    if not ok:
        raise FrameError(f"Camera '{frame.camera}': OpenCV could not encode a {frame.image.shape} image as JPEG.")
    return make(
        'sensor_msgs/msg/CompressedImage', header=to_header(make, frame.stamp_ns, frame_id),
        # As compressed_image_transport writes it: source encoding; codec, encoding of the compressed pixels.
        format='bgr8; jpeg compressed bgr8', data=encoded.ravel(),
    )


def cropped_from_frame(
    make: MessageFactory, frame: Frame, frame_id: str, region: tuple[FloatArray, FloatArray]
) -> Message:
    """Return the ``region`` of ``frame`` as a raw Image (bgr8): its corners (2,), the image's sides at 0 and 1."""
    size = np.array(frame.image.shape[1::-1])
    (left, top), (right, bottom) = np.floor(region[0] * size).astype(int), np.ceil(region[1] * size).astype(int)
    pixels = np.ascontiguousarray(frame.image[top:bottom, left:right])
    height, width = pixels.shape[:2]
    return make(
        'sensor_msgs/msg/Image', header=to_header(make, frame.stamp_ns, frame_id), height=height, width=width,
        encoding='bgr8', step=3 * width, data=pixels.ravel(),
    )


def compressed_size(data: bytes, camera: str) -> tuple[int, int]:
    """Return (width, height) px of a whole JPEG or PNG from its header, without decoding it.

    Raises:
        FrameError: if it is neither, is truncated or damaged, or two images were spliced.
    """
    codec = next((name for name, start in _STARTS.items() if data.startswith(start)), None)
    if codec is None:
        raise FrameError(
            f"Camera '{camera}': the compressed image ({len(data)} bytes) starts with {data[:4].hex() or 'nothing'}, "
            'expected a JPEG (ffd8) or PNG (89504e47). Set the image transport to jpeg or png.'
        )

    def fault(kind: str, reason: str) -> FrameError:
        return FrameError(
            f"Camera '{camera}': {kind} {codec} of {len(data)} bytes ({reason}). Check the driver, the network or the "
            'disk.'
        )

    stream = io.BytesIO(data)
    try:
        with Image.open(stream, formats=[codec]) as image:
            width, height = image.size
            header_ends = stream.tell()
            if codec == 'PNG':
                # The checksums of all chunks: decoders allocate any size that a damaged chunk gives.
                image.verify()
    # Pillow raises these for damage; SyntaxError is its own use.
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        kind = 'corrupt' if _ENDS[codec] in data else 'truncated'
        raise fault(kind, 'its header or a checksum is wrong') from error
    if codec == 'JPEG':
        following = _next_start_or_end(data, header_ends)
        if following is None:
            raise fault('truncated', 'no end-of-image marker')
        if following != _EOI:
            raise fault('corrupt', 'a second image starts inside it, the first was cut off')
        if width * height > len(data) * _JPEG_PIXELS_PER_BYTE:
            raise fault('corrupt', f'they cannot hold {width}x{height} px')
    return width, height


def _next_start_or_end(data: bytes, at: int) -> int | None:
    """Return which of the markers SOI and EOI comes first after ``at``; a JPEG's own tables and data hold neither."""
    rest = np.frombuffer(data, np.uint8, offset=at)
    # One pass over the bytes; bytes.find is several times slower on noise.
    candidates = np.flatnonzero((rest[1:] & 0xFE) == _SOI)
    found = candidates[rest[candidates] == 0xFF]
    return int(rest[found[0] + 1]) if len(found) else None


def _check_size(
    width: int, height: int, camera: str, intrinsics: Intrinsics | None, note: Callable[[str], None] | None
) -> None:
    if width * height > _MOST_PIXELS:
        raise FrameError(
            f"Camera '{camera}': an image of {width}x{height} px, expected at most {_MOST_PIXELS} px; send smaller "
            'ones.'
        )
    if intrinsics is None:
        return
    try:
        _, text = fit_to_images(intrinsics, width, height, camera)
    except CalibrationError as error:
        raise FrameError(str(error)) from error
    if text and note is not None:
        note(text)


def _decode_compressed(
    message: Message, camera: str, calibrated: _Calibrated, max_side_px: int
) -> tuple[UInt8Array, int]:
    description = str(message.format)
    source, _, codec = description.partition(';')
    mosaic = source.startswith('bayer_') and codec.strip() in ('jpeg compressed', 'png compressed')
    start = bytes(memoryview(message.data)[:5]) if len(message.data) else b''
    if _VIDEO.search(description) or start.startswith((b'\0\0\0\1', b'\0\0\1')):
        raise FrameError(
            f"Camera '{camera}': its images are packets of a video ('{description}'), each of which needs those "
            'before. Make images of them with ros2 run image_transport republish, or set the driver to jpeg.'
        )
    if mosaic or 'compressedDepth' in codec:
        raise FrameError(
            f"Camera '{camera}': compressed format '{description}' does not hold a colour or grey image. "
            'Publish a debayered colour image through the compressed transport.'
        )
    buffer = np.frombuffer(message.data, np.uint8)
    width, height = compressed_size(buffer.tobytes(), camera)
    _check_size(width, height, camera, *calibrated)
    reduction = reduction_for(width, height, max_side_px)
    is_jpeg = buffer[0] == 0xFF
    if is_jpeg:
        buffer = _whole_jpeg(buffer, camera)
    # Calibrations are of the sensor's pixels, whatever orientation EXIF suggests.
    flags = _REDUCED_DECODE[reduction if is_jpeg else 1] | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(buffer, flags)
    except cv2.error as error:
        raise FrameError(f"Camera '{camera}': OpenCV cannot decode '{description}': {error.err}.") from error
    if image is None:
        raise FrameError(
            f"Camera '{camera}': OpenCV cannot decode the {len(buffer)} bytes of '{description}'; the image is "
            'corrupt. Check the driver or network.'
        )
    return _reduce(image, 1 if is_jpeg else reduction), reduction


def _whole_jpeg(data: UInt8Array, camera: str) -> UInt8Array:
    """Return a JPEG, without what is left before its end marker; decoders would say so, without a camera's name."""
    # Its compiled code is imported where an image is read.
    from .jpeg.damage import find_damage

    damage, end = find_damage(data)
    if damage:
        raise FrameError(
            f"Camera '{camera}': corrupt JPEG of {len(data)} bytes ({damage}); it is not used. Check the driver, "
            'the network or the disk.'
        )
    return np.concatenate([data[:end], np.array([0xFF, _EOI], np.uint8)]) if end else data


def _rows_of_image(
    message: Message, camera: str, kind: str, row_bytes: int, rows: int, unit_bytes: int = 1
) -> UInt8Array:
    """Return the bytes (rows, step) of an Image of ``kind``; raise FrameError where they are not those of its size.

    A row holds at least ``row_bytes``, and a multiple of ``unit_bytes``.
    """
    width, height, step = int(message.width), int(message.height), int(message.step)
    data = np.frombuffer(message.data, np.uint8)
    if min(width, height) < 1 or step < row_bytes or step % unit_bytes or len(data) != step * rows:
        raise FrameError(
            f"Camera '{camera}': received {len(data)} bytes with step {step} for {width}x{height} {kind}, expected "
            f'{rows} x step bytes and step >= {row_bytes}. The message is truncated or the driver is wrong.'
        )
    return data.reshape(rows, step)


def _decode_raw(
    message: Message, camera: str, calibrated: _Calibrated, max_side_px: int, bridge: Converter | None
) -> tuple[UInt8Array, int]:
    name = str(message.encoding).lower()
    if _DEPTH.fullmatch(name):
        raise DepthError(
            f"Camera '{camera}': its images hold depth ('{message.encoding}'), which shows no people to a detector. "
            'Leave it out, or name the topic of its colour image.'
        )
    if name not in _ENCODINGS:
        raise FrameError(
            f"Camera '{camera}': unknown image encoding '{message.encoding}'; supported: {', '.join(_ENCODINGS)}. "
            'Set the driver to one of them.'
        )
    encoding = _ENCODINGS[name]
    width, height = int(message.width), int(message.height)
    row_bytes = width * encoding.channels * encoding.bytes_per_channel
    rows = height + height // 2 if encoding.planar else height
    pixels = _rows_of_image(message, camera, name, row_bytes, rows)
    halved = encoding.channels == 2 or encoding.planar
    if (halved and width % 2) or (encoding.planar and height % 2):
        raise FrameError(
            f"Camera '{camera}': received {width}x{height} {name}, whose colour is of pairs of pixels; expected even "
            'sides. Set the driver to another size or encoding.'
        )
    _check_size(width, height, camera, *calibrated)
    if bridge is not None and name in BRIDGED:
        image = bridge(message)
    else:
        image = _convert(message, camera, name, pixels[:, :row_bytes])
    reduction = reduction_for(width, height, max_side_px)
    return _reduce(image, reduction), reduction


def _convert(message: Message, camera: str, name: str, pixels: UInt8Array) -> UInt8Array:
    """Return the BGR image, in its own memory, of the rows of ``message`` in encoding ``name``."""
    encoding = _ENCODINGS[name]
    if encoding.bytes_per_channel == 2:
        pixels = _to_8_bits(pixels, bool(message.is_bigendian))
    pixels = np.ascontiguousarray(pixels)
    if encoding.channels > 1:
        pixels = pixels.reshape(len(pixels), -1, encoding.channels)
    try:
        # Own memory: the message's buffer belongs to the middleware.
        image = pixels.copy() if encoding.to_bgr is None else cv2.cvtColor(pixels, encoding.to_bgr)
    except cv2.error as error:
        size = f'{message.width}x{message.height}'
        raise FrameError(f"Camera '{camera}': OpenCV cannot convert {size} {name}: {error.err}.") from error
    return np.asarray(image, np.uint8)


def _to_8_bits(rows: UInt8Array, big_endian: bool) -> UInt8Array:
    """Return the highest 8 bits in use of 16-bit values (H, 2 W bytes); cameras of 10 to 14 bits fill the lowest."""
    values = np.ascontiguousarray(rows).view('>u2' if big_endian else '<u2')
    highest = int(values.max())
    bits = next(bits for bits in (10, 12, 14, 16) if highest < 1 << bits)
    return (values >> (bits - 8)).astype(np.uint8)


def _reduce(image: cv2.typing.MatLike, reduction: int) -> UInt8Array:
    """Average blocks of ``reduction`` x ``reduction`` px; rows and columns that fill no block are cut off."""
    if reduction == 1:
        return np.asarray(image, np.uint8)
    height, width = (side // reduction for side in image.shape[:2])
    if min(height, width) < 1:
        raise FrameError(f'An image of {image.shape[1]}x{image.shape[0]} px cannot be reduced {reduction} times.')
    whole = image[: height * reduction, : width * reduction]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
