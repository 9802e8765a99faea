from starktrack.config.comparison import different_settings


def test_settings_that_differ_come_apart_or_are_free():
    before = {"model": {"d_model": 256}, "tracking": {"limit": 0.5}, "name": "a"}
    now = {"model": {"d_model": 128}, "tracking": {"limit": 0.6}, "added": True, "name": "a"}
    assert different_settings(before, now, free=["tracking.*"]) == [
        "model.d_model = 128, not 256",
        "added = True, not None",
    ]


def test_the_order_of_stages_and_data_sets_is_a_setting_and_no_other():
    assert different_settings({"stages": {"a": 1, "b": 2}}, {"stages": {"b": 2, "a": 1}}) == [
        "stages = ['b', 'a'], not ['a', 'b']"
    ]
    assert different_settings({"other": {"a": 1, "b": 2}}, {"other": {"b": 2, "a": 1}}) == []
