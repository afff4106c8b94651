import json

from npuc.settings.recipe import Recipe, recipe_schema


def test_schema_describes_every_top_level_key():
    schema = recipe_schema()
    json.dumps(schema)
    assert set(schema["properties"]) == set(Recipe.model_fields)
    assert schema["additionalProperties"] is False
