"""What an upload becomes: two WebP files without metadata, or a refusal."""

import io
import json
import subprocess
import sys
import time
from itertools import pairwise

import pytest
from PIL import Image, ImageCms

from catalog import image_decoder
from catalog.encoder import DECODER, Encoder
from catalog.errors import ImageRefused, UploadsBusy
from catalog.media import SIZES
from tests.catalog.drawn import draw, draw_noise, encode, is_close, make_bomb, open_webp

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.fixture(scope="module")
def encoder():
    return Encoder()


def find_reason(encoder, data):
    """Return why an image is refused, or None."""
    try:
        encoder.encode(data)
    except ImageRefused as refused:
        return refused.detail
    return None


def test_an_image_of_each_format_becomes_two_webp_files(encoder):
    wrong = {}
    for kind in ("PNG", "JPEG", "WEBP", "GIF"):
        file = encoder.encode(draw(kind, (2400, 1800)))
        sizes = [open_webp(each).size for each in (file.small, file.large)]
        is_right = sizes == [(480, 360), (1200, 900)] and (file.width, file.height) == (1200, 900)
        if not is_right or not is_close(open_webp(file.large).getpixel((9, 9)), (0x40, 0x80, 0xC0)):
            wrong[kind] = (sizes, file.width, file.height)
    assert wrong == {}


def test_the_decoder_which_imports_nothing_knows_the_sizes_of_the_service():
    assert image_decoder.SIZES == SIZES


def test_a_small_image_does_not_grow_and_a_narrow_one_keeps_a_pixel(encoder):
    file = encoder.encode(draw(size=(60, 40)))
    assert [open_webp(each).size for each in (file.small, file.large)] == [(60, 40), (60, 40)]
    narrow = encoder.encode(draw(size=(9000, 2)))
    assert [open_webp(each).size for each in (narrow.small, narrow.large)] == [(480, 1), (1200, 1)]


def test_the_placeholder_colour_is_the_average(encoder):
    half = Image.new("RGB", (100, 100), "white")
    half.paste("black", (0, 0, 50, 100))
    assert encoder.encode(encode(half, "PNG")).colour in {"#7f7f7f", "#808080"}
    clear = Image.new("RGBA", (50, 50), (0, 0, 0, 0))
    assert encoder.encode(encode(clear, "PNG")).colour == "#ffffff"


def test_the_rotation_of_a_photo_is_applied_and_its_position_is_dropped(encoder):
    photo = Image.new("RGB", (80, 40), "blue")
    photo.paste("red", (0, 0, 40, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned clockwise by a quarter.
    exif[0x010F] = "A camera"
    exif.get_ifd(0x8825)[1] = "N"  # GPSLatitudeRef.
    data = encode(photo, "JPEG", exif=exif, comment=b"secret", quality=95)
    assert b"A camera" in data
    file = encoder.encode(data)
    shown = open_webp(file.large)
    assert shown.size == (40, 80)
    # The left half is at the top now.
    assert is_close(shown.getpixel((20, 10)), (255, 0, 0), 30)
    assert is_close(shown.getpixel((20, 70)), (0, 0, 255), 30)
    for each in (file.small, file.large):
        assert not {"exif", "xmp", "icc_profile"} & open_webp(each).info.keys()
        assert b"A camera" not in each
        assert b"secret" not in each


def test_a_colour_profile_is_applied_before_it_is_dropped(encoder):
    srgb, other = (
        ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes() for name in ("sRGB", "LAB")
    )
    # In this profile red and blue have changed places.
    swapped = srgb.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
    colours = {
        name: encoder.encode(draw(icc_profile=profile)).colour
        for name, profile in {"sRGB": srgb, "swapped": swapped, "LAB": other, "none": b"no profile"}.items()
    }
    seen = {name: tuple(bytes.fromhex(colour[1:])) for name, colour in colours.items()}
    assert is_close(seen.pop("swapped"), (0xC0, 0x80, 0x40), 8)
    # The others change nothing: the image has no such colour space.
    assert [name for name, colour in seen.items() if not is_close(colour, (0x40, 0x80, 0xC0), 3)] == []


def test_an_animation_becomes_its_first_frame(encoder):
    frames = [Image.new("RGB", (50, 50), colour) for colour in ("red", "green", "blue")]
    shown = {}
    for kind in ("GIF", "WEBP", "PNG"):
        data = encode(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)
        file = encoder.encode(data)
        pixel = open_webp(file.large).getpixel((25, 25))
        shown[kind] = (is_close(pixel[:3], (255, 0, 0)), open_webp(file.large).n_frames)
    assert shown == dict.fromkeys(shown, (True, 1))


def test_images_of_every_colour_mode_keep_their_colours(encoder):
    plain = Image.new("RGB", (90, 90), (200, 100, 50))
    cases = {
        "a CMYK JPEG": (encode(plain.convert("CMYK"), "JPEG", quality=95), (200, 100, 50)),
        "a palette": (encode(plain.quantize(8), "PNG"), (200, 100, 50)),
        "grey": (encode(Image.new("L", (90, 90), 90), "PNG"), (90, 90, 90)),
        "16 bits of grey": (encode(Image.new("I;16", (90, 90), 90 * 257), "PNG"), (90, 90, 90)),
        "one bit": (encode(Image.new("1", (90, 90), 1), "PNG"), (255, 255, 255)),
        "grey with alpha": (encode(Image.new("LA", (90, 90), (90, 255)), "PNG"), (90, 90, 90)),
        "progressive": (encode(plain, "JPEG", progressive=True, quality=95), (200, 100, 50)),
    }
    shown = {name: open_webp(encoder.encode(data).large).convert("RGB") for name, (data, _) in cases.items()}
    wrong = {
        name: image.getpixel((45, 45))
        for name, image in shown.items()
        if not is_close(image.getpixel((45, 45)), cases[name][1])
    }
    assert wrong == {}


def test_transparency_is_kept(encoder):
    image = Image.new("RGBA", (100, 100), (255, 0, 0, 0))
    image.paste((0, 255, 0, 255), (0, 0, 50, 100))
    shown = open_webp(encoder.encode(encode(image, "PNG")).large)
    assert (shown.getpixel((10, 50))[3], shown.getpixel((90, 50))[3]) == (255, 0)


def test_bands_leave_no_seams(encoder):
    ramp = Image.linear_gradient("L").resize((1000, 3000))
    shown = open_webp(encoder.encode(encode(ramp, "PNG")).large).convert("L")
    column = [shown.getpixel((200, row)) for row in range(shown.height)]
    steps = [abs(after - before) for before, after in pairwise(column)]
    assert (shown.height, max(steps) <= 2) == (1200, True)


def test_files_that_are_no_images_are_refused(encoder):
    png = draw(size=(300, 300))
    cases = {
        "SVG": SVG,
        "SVG with a declaration": b'<?xml version="1.0"?>' + SVG,
        "HTML": b"<!doctype html><script>alert(1)</script>",
        "nothing": b"",
        "another format": draw("BMP"),
        "TIFF": draw("TIFF"),
        "a signature alone": png[:8],
        "half a file": encode(draw_noise((300, 300)), "PNG")[:9000],
        "half a JPEG": encode(draw_noise((300, 300)), "JPEG")[:9000],
        "half a WebP": encode(draw_noise((300, 300)), "WEBP")[:9000],
    }
    assert {name: find_reason(encoder, data) for name, data in cases.items()} == {
        **dict.fromkeys(cases, "The file is not a PNG, JPEG, WebP or GIF image."),
        "half a file": "The image is damaged.",
        "half a JPEG": "The image is damaged.",
        "half a WebP": "The image is damaged.",
    }


def measure_decoder(data):
    """Return the answer of the decoder, and its peak memory in MiB."""
    code = (
        "import re, runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__'); sys.stdout.flush();"
        "status = open('/proc/self/status').read();"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) // 1024, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(DECODER)], input=data, capture_output=True, check=True
    )
    return json.loads(done.stdout.partition(b"\n")[0]), int(done.stderr.split()[-1])


def test_an_image_with_too_many_pixels_is_refused_by_its_header():
    bomb = make_bomb(20_000, 20_000)
    assert len(bomb) < 60_000
    wrong = {}
    for name, data in {
        "a bomb of 400 megapixels": bomb,
        "PNG": make_bomb(4097, 4096),
        "GIF": encode(Image.new("P", (4097, 4096)), "GIF"),
        "WebP": encode(Image.new("RGB", (2400, 2400)), "WEBP", method=0),
        "JPEG": encode(Image.new("L", (9000, 6000)), "JPEG"),
        "progressive JPEG": encode(Image.new("RGB", (6000, 6000)), "JPEG", progressive=True),
    }.items():
        answer, peak = measure_decoder(data)
        # Decoding it would take more.
        if "megapixels" not in answer.get("refused", "") and "progressive" not in answer.get("refused", ""):
            wrong[name] = answer
        if peak > 80:
            wrong[name] = f"{peak} MiB"
    assert wrong == {}


def test_the_largest_images_are_encoded_in_128_mib():
    wrong = {}
    peaks = {}
    for name, make in {
        "PNG": lambda: encode(Image.new("RGBA", (4096, 4096), (9, 9, 9, 99)), "PNG", compress_level=1),
        "GIF": lambda: encode(Image.new("P", (4096, 4096)), "GIF"),
        "JPEG": lambda: encode(Image.new("RGB", (8192, 6400), "red"), "JPEG"),
        "progressive JPEG": lambda: encode(Image.new("RGB", (4096, 4096), "red"), "JPEG", progressive=True),
        "WebP": lambda: encode(Image.new("RGB", (2560, 2048), "red"), "WEBP", method=0),
    }.items():
        answer, peaks[name] = measure_decoder(make())
        if "refused" in answer or peaks[name] > 128:
            wrong[name] = (answer, peaks[name])
    assert wrong == {}, peaks


def test_a_decoder_that_reaches_a_limit_ends_alone(encoder, monkeypatch, tmp_path):
    # A hostile file might make the decoder take memory, take time, or write a file.
    hostile = {
        "memory": "bytearray(2**28)",
        "time": "resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass",
        "a file": f"open({str(tmp_path / 'written')!r}, 'wb').write(b'x')",
    }
    begin = f"import runpy, resource\nrunpy.run_path({str(DECODER)!r})['limit_process']()\n"
    reasons = {}
    for name, action in hostile.items():
        program = tmp_path / "decoder.py"
        program.write_text(begin + action)
        monkeypatch.setattr("catalog.encoder.DECODER", program)
        reasons[name] = find_reason(encoder, b"")
    assert reasons == {
        **dict.fromkeys(hostile, "The image takes too much memory or time to decode."),
        "a file": "The image is damaged.",
    }
    assert (tmp_path / "written").read_bytes() == b""


def test_the_output_of_a_decoder_is_not_trusted(encoder, monkeypatch, tmp_path):
    good = {"width": 1, "height": 1, "colour": "#ffffff", "lengths": [16, 16]}
    webp = "RIFF1234WEBPVP8 "
    program = tmp_path / "decoder.py"
    monkeypatch.setattr("catalog.encoder.DECODER", program)
    reasons = {}
    for name, line, rest in [
        ("a script as a colour", {**good, "colour": "red;url(//x)"}, webp * 2),
        ("HTML as an image", good, "<script>" * 4),
        ("no lengths", {"width": 1, "height": 1, "colour": "#ffffff"}, webp * 2),
        ("no JSON object", [1], ""),
        ("nothing wrong", good, webp * 2),
    ]:
        program.write_text(f"print({json.dumps(line)!r}); print({rest!r}, end='')")
        reasons[name] = find_reason(encoder, b"")
    assert reasons == {**dict.fromkeys(reasons, "The image is damaged."), "nothing wrong": None}


def test_a_decoder_has_no_secrets_in_its_environment(encoder, monkeypatch, tmp_path):
    program = tmp_path / "decoder.py"
    program.write_text("import json, os; print(json.dumps({'refused': ','.join(sorted(os.environ))}))")
    monkeypatch.setattr("catalog.encoder.DECODER", program)
    monkeypatch.setenv("DATABASE_PASSWORD", "secret")
    assert "DATABASE_PASSWORD" not in find_reason(encoder, b"")


def test_an_upload_waits_for_its_turn_but_not_forever():
    encoder = Encoder(most_waiting=1, patience=0.05)
    with encoder.turn():
        began = time.monotonic()
        with pytest.raises(UploadsBusy), encoder.turn():
            pass
        assert time.monotonic() - began >= 0.05
    with encoder.turn():
        pass


def test_a_refused_upload_gives_its_turn_to_the_next():
    encoder = Encoder(most_waiting=0)
    for _ in range(3):
        with pytest.raises(ImageRefused), encoder.turn():
            encoder.encode(io.BytesIO(SVG).getvalue())
