"""The app: Panel pages that hold widgets and layout, no physics."""
