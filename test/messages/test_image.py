"""Images to frames: encodings, sizes, reductions, and pictures that cannot be used."""

import cv2
import numpy as np
import pytest

from geo_pose_ros.errors import FrameError
from geo_pose_ros.messages.image import (
    ENCODINGS,
    compressed_from_frame,
    compressed_size,
    frame_from_message,
    reduction_for,
)
from geo_pose_ros.messages.stamps import to_header
from geo_pose_ros.types import Frame

from ..scenes import intrinsics

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
STAMP_NS = 1_700_000_000_000_000_001
BGR = (200, 100, 40)


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
    if encoding.startswith('bayer'):
        order = encoding.removeprefix('bayer_').removesuffix('8')
        tile = np.array([{'r': r, 'g': g, 'b': b}[c] for c in order], np.uint8).reshape(2, 2)
        return np.tile(tile, (2, 3))
    if encoding in ('uyvy', 'yuv422', 'yuyv', 'yuv422_yuy2'):
        # BT.601 limited range of the colour.
        y, u, v = 16 + 0.257 * r + 0.504 * g + 0.098 * b, 128 - 0.148 * r - 0.291 * g + 0.439 * b, (
            128 + 0.439 * r - 0.368 * g - 0.071 * b
        )
        pair = (u, y, v, y) if encoding in ('uyvy', 'yuv422') else (y, u, y, v)
        return np.tile(np.array(pair).round().astype(np.uint8).reshape(1, 2, 2), (4, 3, 1))
    pixel = {
        'bgr8': (b, g, r), 'rgb8': (r, g, b), 'bgra8': (b, g, r, 255), 'rgba8': (r, g, b, 255), 'mono8': (100,),
        'mono16': (0x6412,),
    }[encoding]
    dtype = '<u2' if encoding == 'mono16' else np.uint8
    return np.tile(np.array(pixel, dtype), (4, 6, 1)).squeeze()


@pytest.mark.parametrize('encoding', ENCODINGS)
def test_every_encoding_gives_its_colour(library, encoding):
    message = library.wire(raw(library, uniform(encoding), encoding), IMAGE)
    frame = frame_from_message(message, 'left')
    assert (frame.camera, frame.stamp_ns, frame.reduction, frame.image.shape) == ('left', STAMP_NS, 1, (4, 6, 3))
    expected = (100, 100, 100) if encoding.startswith('mono') else BGR
    # YUV quantises.
    assert np.abs(frame.image.astype(int) - expected).max() <= (2 if 'y' in encoding and 'bayer' not in encoding else 0)


def test_big_endian_mono16_and_padded_rows(library):
    pixels = np.array([[0x6412, 0x0199]], '>u2')
    frame = frame_from_message(raw(library, pixels, 'mono16', is_bigendian=1), 'left')
    assert frame.image[0, :, 0].tolist() == [0x64, 0x01]

    image = smooth_image(5, 7)
    padded = np.zeros((5, 32), np.uint8)
    padded[:, :21] = image.reshape(5, 21)
    message = raw(library, image, 'bgr8', step=32, data=padded.ravel())
    np.testing.assert_array_equal(frame_from_message(message, 'left').image, image)


def test_unknown_encoding_names_the_known(library):
    with pytest.raises(FrameError, match=r"Camera 'left': unknown image encoding '32FC1'; supported: bgr8, rgb8, .*"):
        frame_from_message(raw(library, smooth_image(), '32FC1'), 'left')


@pytest.mark.parametrize(
    'changes', [{'step': 100}, {'height': 49}, {'data': np.zeros(100, np.uint8)}, {'height': 0}, {'width': 0}]
)
def test_raw_image_of_wrong_size(library, changes):
    with pytest.raises(FrameError, match=r"Camera 'left': received \d+ bytes with step \d+ for .* bgr8, expected"):
        frame_from_message(raw(library, smooth_image(), 'bgr8', **changes), 'left')


def test_odd_width_of_packed_yuv_is_refused(library):
    pixels = np.zeros((4, 5, 2), np.uint8)
    with pytest.raises(FrameError, match="Camera 'left': OpenCV cannot convert 5x4 yuyv"):
        frame_from_message(raw(library, pixels, 'yuyv'), 'left')


def test_size_must_be_that_of_camera_info(library):
    lens = intrinsics()  # 1280 x 960
    match = r"Camera 'left': received an image of 64x48 px, camera_info says 1280x960\. Calibrate"
    with pytest.raises(FrameError, match=match):
        frame_from_message(raw(library, smooth_image(), 'bgr8'), 'left', lens)
    with pytest.raises(FrameError, match=match):
        frame_from_message(compressed(library, jpeg(smooth_image())), 'left', lens)
    assert frame_from_message(raw(library, smooth_image(960, 1280), 'bgr8'), 'left', lens).reduction == 1


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
        'png': lambda: compressed(library, cv2.imencode('.png', image)[1].tobytes(), 'bgr8; png compressed bgr8'),
    }[kind]()
    frame = frame_from_message(message, 'left', None, max_side_px=34)
    assert frame.reduction == 2 and frame.image.shape[1] in (shape[1] // 2, -(-shape[1] // 2))
    v, u = np.mgrid[2:20, 2:28]
    raw_xy = frame.to_raw(np.stack([u, v], -1).astype(float))
    shown = frame.image[2:20, 2:28].astype(float)
    expected = np.stack([2 * raw_xy[..., 0], 2 * raw_xy[..., 1], raw_xy.sum(-1)], -1)
    # Half a pixel off would be 1 to 2 grey levels in the mean.
    assert np.abs((shown - expected).mean((0, 1))).max() < 0.6


def test_image_too_small_to_reduce(library):
    image = smooth_image(1, 64)
    with pytest.raises(FrameError, match='64x1 px cannot be reduced 2 times'):
        frame_from_message(raw(library, image, 'bgr8'), 'left', None, 32)


@pytest.mark.parametrize('options', [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 2)])
def test_jpeg_size_and_round_trip(library, options):
    image = smooth_image(37, 53)
    data = jpeg(image, *options)
    assert compressed_size(data, 'left') == (53, 37)
    frame = frame_from_message(library.wire(compressed(library, data), COMPRESSED), 'left')
    assert np.abs(frame.image.astype(int) - image).mean() < 2.0


def test_frame_to_compressed_and_back(library):
    image = smooth_image()
    message = library.wire(compressed_from_frame(library.make, Frame('left', STAMP_NS, image), 'f', 95), COMPRESSED)
    assert (message.format, message.header.frame_id) == ('bgr8; jpeg compressed bgr8', 'f')
    back = frame_from_message(message, 'left')
    assert back.stamp_ns == STAMP_NS
    assert np.abs(back.image.astype(int) - image).mean() < 2.0


@pytest.mark.parametrize('fraction', [0.02, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize('options', [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)])
def test_truncated_jpeg(library, fraction, options):
    data = jpeg(np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8), *options)
    cut = data[: int(len(data) * fraction)]
    with pytest.raises(FrameError, match=rf"Camera 'left': truncated JPEG of {len(cut)} bytes"):
        frame_from_message(compressed(library, cut), 'left')


def test_every_truncation_of_a_jpeg_is_seen():
    data = jpeg(smooth_image())
    for length in range(len(data) - 1):
        with pytest.raises(FrameError):
            compressed_size(data[:length], 'left')


def test_jpeg_cut_and_joined_with_the_next(library):
    data = jpeg(np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8))
    with pytest.raises(FrameError, match='a second image starts inside it'):
        frame_from_message(compressed(library, data[: len(data) // 2] + data), 'left')


def test_jpeg_without_markers(library):
    data = bytearray(jpeg(smooth_image()))
    data[20] = 0
    with pytest.raises(FrameError, match='corrupt JPEG, no marker at byte 20'):
        frame_from_message(compressed(library, bytes(data)), 'left')


def test_exif_orientation_is_ignored(library):
    """Calibration is of the sensor's rows and columns."""
    data = jpeg(smooth_image(48, 64))
    tiff = b'II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00'
    exif = b'Exif\x00\x00' + tiff
    rotated = data[:2] + b'\xff\xe1' + (len(exif) + 2).to_bytes(2, 'big') + exif + data[2:]
    assert cv2.imdecode(np.frombuffer(rotated, np.uint8), cv2.IMREAD_COLOR).shape == (64, 48, 3)
    assert frame_from_message(compressed(library, rotated), 'left').image.shape == (48, 64, 3)


def test_png_truncated_and_broken(library):
    data = cv2.imencode('.png', smooth_image())[1].tobytes()
    assert compressed_size(data, 'left') == (64, 48)
    with pytest.raises(FrameError, match='truncated PNG'):
        frame_from_message(compressed(library, data[:-20], 'bgr8; png compressed bgr8'), 'left')
    broken = data[:16] + b'\xff' * 10 + data[26:]
    with pytest.raises(FrameError, match='OpenCV cannot decode'):
        frame_from_message(compressed(library, broken, 'bgr8; png compressed bgr8'), 'left')


@pytest.mark.parametrize('data', [b'', b'\x00\x01', b'GIF89a....'])
def test_not_a_picture(library, data):
    with pytest.raises(FrameError, match=r'expected a JPEG \(ffd8\) or PNG'):
        frame_from_message(compressed(library, data), 'left')


@pytest.mark.parametrize('description', ['16UC1; compressedDepth png', 'bayer_rggb8; jpeg compressed '])
def test_formats_that_are_no_picture(library, description):
    with pytest.raises(FrameError, match='does not hold a colour or grey picture'):
        frame_from_message(compressed(library, jpeg(smooth_image()), description), 'left')


def test_image_too_large_for_jpeg(library):
    with pytest.raises(FrameError, match=r"Camera 'left': OpenCV could not encode a \(1, 70000, 3\) image"):
        compressed_from_frame(library.make, Frame('left', 0, np.zeros((1, 70000, 3), np.uint8)), 'f')
