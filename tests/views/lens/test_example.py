import pandas as pd

from codingspot.views.lens.example import example_page


def test_the_page_escapes_what_a_model_said():
    example = pd.DataFrame(
        {
            "layer": [0, 1],
            "position": [0, 0],
            "place": [1, 1],
            "token": ["<script>", " a\n"],
            "probability": [0.25, 0.5],
            "answer": [" a\n", " a\n"],
            "right": [False, True],
            "source": "c",
            "target": "csharp",
        }
    )
    page = example_page(example, "<model>")
    assert "<title>Logit lens: C to C#</title>" in page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "&lt;model&gt;" in page
    assert '<td class="right" style="--p: 0.50"' in page
    assert "␣a↵" in page
    assert page.index(">1</th>") < page.index(">0</th>")  # the last layer first
