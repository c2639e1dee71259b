package bus_test

func child(role string) {}
