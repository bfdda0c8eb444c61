"""What joins the layers: measuring a space, calibrating, searching, verifying, the demo."""
