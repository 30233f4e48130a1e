"""Archives of three sparse files, hole, holes and many, by GNU tar 1.34 in each of its formats; xz in base64."""

import base64
import lzma

FILES = {
    "hole": bytes(70_000),
    "holes": (b"start".ljust(100_000, b"\0") + b"middle").ljust(300_001, b"\0"),
    "many": b"".join((b"" if number == 0 else b"%02d" % number).ljust(16_384, b"\0") for number in range(11)) + b"11",
}

_PACKED = {
    "gnu": (
        "/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4O//ARtdADQbyc2cNGkYs3GtL/DbribN0Sr75Y67h8tDe82LyXXLiNOWMhKd/9BEoblq"
        "0seaPB2IDWQk9qNV4WQlgV5oRuhs0fL+8D1FgCU0a5m9+LmIDmLMRC6He3q6Tl7GrfJQGQeG8m0kuvtXQAacNYlZYBACm5U+644w"
        "+t7n8mlbj1Qw1ib4cQB+aNqc0+N5+YS28/NGPY9LruyE/O6YeBrKAEJnDgU85GogMdzmZRwUx2qt0MBxBGH8FpWmNfDNXJvNZSQb"
        "toPBTjWr1cNeB4DVvHEL4mFzgMguZdaxSpW1mK2vvE5K11Bszfsl3p1a6/pMok7Uu8xF+ClYSIkRLWYNDLiuWQWFzRkZ4smFu7Uw"
        "rBcPw6C7gb3Mq7seYAAAAIWvyBOnL9mGAAG3AoDgAwAokczRscRn+wIAAAAABFla"
    ),
    "pax 1.0": (
        "/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4O//AbNdADQbyc2cNGkYs3GtL/DbriJiWY+W8jMyR4ryqIfbZrpubgX+hxW0Eb+P844p"
        "kxhduC2AtbW9zXySgSSOxNv+YqYq5PrxSBAM3hPo7kPfFeJUNO4cSEYt+yWLcIG9dY7Bke7BiPct+8ns1qoVegfQXT00/sy5dPph"
        "loVTS97g66kom8I58gG5ENzsZgGLDc64f9DEdzmEv9tmFFemULTradBJv0ddfpfcsPumcrHvubm9b3a5sTRyMKMyMz80+jow2IZQ"
        "J8oHBlC/bL5T1Dd0cWrZXFkKfVh9YMofDXJ2JmXb+3Y+Vqvznt+56OII/QbGbvSJ5Bhuf8cJwwHCFZaMFRIGEUBPppYJblaHRGbC"
        "vKRI5rssKO/snAdLhF46bpU0xjskARs3fFRhSifh/pqCAB91nafg7fwD6eGK3w6ZdEfm0afBeY61tm6HaDFFvpQEF3OA74GUSPwe"
        "pMA/S8TBaeADW5uEDHnTzKiQ/QjOWMB98ueOu4Ejvj03Lr8DzawxON4PXjsKArdKZ5AVBlKZzc7YDysZmWSfOrCF/2Rsp17O5piD"
        "NvMNdI5VAqUkXzD/2gTcAAAAjpR28scy0KYAAc8DgOADADQ33QuxxGf7AgAAAAAEWVo="
    ),
    "pax 0.1": (
        "/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4O//AbtdADQbyc2cNGkYs3GtL/DbriJiWY+YIlhvXXhXLUUKyHpZGyXmo7wpjggn+kVF"
        "rJf7RUPWx7ZiNey8EYLOW1YZsCxStAqQhbQKegNaCIitM9QS8dsZYJQk7qUZ5RKgBkCRyUJl3qWwC+UGxxDnNc/ktp2+RUwba8xR"
        "f9rlELlvn8ausLuUgkJZsWqr+Y4Wx0Zug9ztuxWbbieeBlp5PIEh7J2J+9ix2vEfEkiPmokcnBAizpSBv+EXcXnlZfkDQzIfdXAN"
        "lcybg/bsPZB39GvaYUzucBHeta/HGyOuv1Qb9gocCV+iSSJ0QzlWFpYmWKzCsAvhifXmiTKbWZOFenPSq+DQh0BGcEd2rlH0W/kV"
        "BBQLos0r9UEuyNCRReJ7gxdz6GuShV0e9ZsKqw+FbMTwYW6kt9S5H/uLktXsfe6X2zTTfutQYMKJOgGBVaRNaKpklxGRmOjq7O/Z"
        "c85FGiN8Ytx9ledWzsePVC+FUooaf5SYMCVrcqBDXWJC501cUrs4pLeNty5MeQKnQbI/drafktc+d/9SfOz6SjwmXxIfPk09Jx/p"
        "ZkIZhxfs9eOOgF75vJVVjox4+vcdQWkAAAAIf6375wg8ggAB1wOA4AMAwrdY5LHEZ/sCAAAAAARZWg=="
    ),
    "pax 0.0": (
        "/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4O//AaVdADQbyc2cNGkYs3GtL/DbriJiWY+YvnCL3BiYMSDwIweRWa0fLVcsbkTY0m6b"
        "dK3ceDqPQ9kBxrYjiJIzduo1SrEkir7/b6KgfuqbcQ7ip5IcViZS5Ao6zbCFbpHqn72IKTTApk6D334yguOsLIrgVSNfkSpn/PUb"
        "m6v5JnvMM85XB/S4XRWaSI0lsGSRUxcFkHowAPZ8nqdU2uB56gVdp4m0IkIkLM8DKp7I7wd4zj/rjZVaQajx5/mU1iGwp8EJm+AY"
        "AkfJLPmG7olKA5i8cThMQFW6shZ65hwozkmQNO3WnFQcsb3N0zt963wKVVMxBSL009DVCQL6x2QHrH/l9cS4udMEaA86wMcNy2Oj"
        "I9Fym3Zba8jmROInjRqKQHwRqsOldS+vc9HU2OleHB8/+pEm9uVKVkmg3GkvOmzf2m7LRPrYDFndYt1fprCSNWW1QVS9NcV0V4+7"
        "ws2QtXg0oxSWq5ZpTPP/s44ORCOp+MNXvaFZM4cTTQVbQAHbd8uS3wNyLWZdHaUSZcGcqeAxVjsZ4flsiX4GFelYGz8DBiTTLY+T"
        "MAAAAAAALEUFcVPKG2UAAcEDgOADAERW1zGxxGf7AgAAAAAEWVo="
    ),
}

ARCHIVES = {name: lzma.decompress(base64.b64decode(text)) for name, text in _PACKED.items()}
